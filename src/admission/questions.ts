import type { Digest } from '../oci/digest.ts';
import { randomId, type Random } from '../system/random.ts';

/** A question that is open: whoever is asked may pull what it is about, under a name that nobody can guess. */
export interface Question {
  readonly nonce: string;
  /** From now on the name is nobody's. */
  close(): void;
}

/** What may be pulled for whom, while questions are open. In this process alone: so its own address is what questions name. */
export class Questions {
  readonly #random: Random;
  readonly #open = new Map<string, { readonly repository: string; readonly digests: ReadonlySet<Digest> }>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** `digests`: the manifest, and all that it names. */
  open(repository: string, digests: readonly Digest[]): Question {
    const nonce = randomId(this.#random);
    this.#open.set(nonce, { repository, digests: new Set(digests) });
    return { nonce, close: () => void this.#open.delete(nonce) };
  }

  allows(nonce: string, repository: string, digest: Digest): boolean {
    const question = this.#open.get(nonce);
    return question?.repository === repository && question.digests.has(digest);
  }
}
