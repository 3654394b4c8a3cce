import type { Digest } from '../oci/digest.ts';
import type { OpenBlob } from './blob-store.ts';

/** Large files that are hashed at once: more would take longer each, and the processor is the same. */
const LARGE_MAX = 2;

/** One reading-through that several readers wait for. */
export interface Joined {
  /** Rejects where it cannot be found out. */
  readonly right: Promise<boolean>;
  /** What is known so far. */
  verdict(): boolean | undefined;
  /** The file is closed when nobody hashes it any more; hashing ends when nobody waits for it. Once. */
  leave(): void;
}

interface Running {
  readonly right: Promise<boolean>;
  readonly abort: AbortController;
  waiting: number;
  verdict: boolean | undefined;
  ended: boolean;
  /** Closes what was opened by those who have left. */
  readonly closing: (() => void)[];
}

type Verify = (digest: Digest, blob: OpenBlob, signal: AbortSignal) => Promise<boolean>;

/** At most one for a file, however many read it. */
export class Verifications {
  readonly #verify: Verify;
  readonly #running = new Map<string, Running>();
  readonly #queue: (() => void)[] = [];
  #large = 0;

  constructor(verify: Verify) {
    this.#verify = verify;
  }

  /** `blob` is closed by `leave`. `large`: it waits for its turn. */
  join(digest: Digest, blob: OpenBlob, large: boolean): Joined {
    const key = `${digest} ${blob.version}`;
    const found = this.#running.get(key);
    const running = found === undefined || found.abort.signal.aborted ? this.#start(key, digest, blob, large) : found;
    running.waiting += 1;
    return {
      right: running.right,
      verdict: () => running.verdict,
      leave() {
        if (running.ended) return blob.close();
        running.closing.push(() => blob.close());
        running.waiting -= 1;
        if (running.waiting === 0) running.abort.abort(new Error('nobody reads it any more'));
      },
    };
  }

  #start(key: string, digest: Digest, blob: OpenBlob, large: boolean): Running {
    const abort = new AbortController();
    const work = async (): Promise<boolean> => {
      if (large) await this.#turn();
      try {
        running.verdict = await this.#verify(digest, blob, abort.signal);
        return running.verdict;
      } finally {
        if (large) this.#next();
        if (this.#running.get(key) === running) this.#running.delete(key);
        running.ended = true;
        for (const close of running.closing) close();
      }
    };
    const started = Promise.resolve().then(work);
    const running: Running = { right: started, abort, waiting: 0, verdict: undefined, ended: false, closing: [] };
    started.catch(() => undefined); // Whoever waits for it is told.
    this.#running.set(key, running);
    return running;
  }

  async #turn(): Promise<void> {
    if (this.#large < LARGE_MAX) this.#large += 1;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
  }

  #next(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#large -= 1;
    else next();
  }
}
