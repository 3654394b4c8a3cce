import type { Digest } from '../oci/digest.ts';
import { randomId, type Random } from '../system/random.ts';

/** A question that is open: whoever is asked may pull what it is about, under a name that nobody can guess. */
export interface Question {
  readonly nonce: string;
  /** Resolves when every process that may be asked for it knows the name. Never rejects. */
  readonly known: Promise<void>;
  /** From now on the name is nobody's. */
  close(): void;
}

/** A question as the other processes of this server have to know it. */
export interface OpenQuestion {
  readonly nonce: string;
  readonly repository: string;
  readonly digests: readonly Digest[];
}

interface Open {
  readonly repository: string;
  readonly digests: ReadonlySet<Digest>;
  /** The process that asks; `undefined`: this one. */
  readonly asker: number | undefined;
}

/** The other processes that answer at this server's address. */
export interface OtherProcesses {
  /** Resolves when they know it. Never rejects. */
  opened(question: OpenQuestion): Promise<void>;
  closed(nonce: string): void;
}

const NOBODY_ELSE: OtherProcesses = { opened: () => Promise.resolve(), closed: () => undefined };

/** What may be pulled for whom, while questions are open. In the processes behind one address alone: so that is what questions name. */
export class Questions {
  readonly #random: Random;
  readonly #others: OtherProcesses;
  readonly #open = new Map<string, Open>();
  readonly #own = new Map<string, OpenQuestion>();

  constructor(random: Random, others: OtherProcesses = NOBODY_ELSE) {
    this.#random = random;
    this.#others = others;
  }

  /** `digests`: the manifest, and all that it names. */
  open(repository: string, digests: readonly Digest[]): Question {
    const nonce = randomId(this.#random);
    const question = { nonce, repository, digests };
    this.hear(question, undefined);
    this.#own.set(nonce, question);
    return {
      nonce,
      known: this.#others.opened(question),
      close: () => {
        this.forget(nonce);
        this.#own.delete(nonce);
        this.#others.closed(nonce);
      },
    };
  }

  /** `asker` has opened it. */
  hear({ nonce, repository, digests }: OpenQuestion, asker: number | undefined): void {
    this.#open.set(nonce, { repository, digests: new Set(digests), asker });
  }

  /** Another process has ended, and asks nothing any more. */
  forgetAllOf(asker: number): void {
    for (const [nonce, question] of this.#open) if (question.asker === asker) this.#open.delete(nonce);
  }

  /** Another process has closed it. */
  forget(nonce: string): void {
    this.#open.delete(nonce);
  }

  /** Those that were opened here. */
  own(): readonly OpenQuestion[] {
    return [...this.#own.values()];
  }

  allows(nonce: string, repository: string, digest: Digest): boolean {
    const question = this.#open.get(nonce);
    return question?.repository === repository && question.digests.has(digest);
  }
}
