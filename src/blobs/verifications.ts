import type { Digest } from '../oci/digest.ts';
import type { OpenBlob } from './blob-store.ts';

/** Files that are hashed at once, a slice of each in turn; the shortest of those that wait comes next. */
const LARGE_MAX = 8;
/** Those that are verified before their first byte have places of their own: they take next to no time. */
const SMALL_MAX = 32;

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
  readonly #large = new Places(LARGE_MAX);
  readonly #small = new Places(SMALL_MAX);
  /** All that run, those too that nobody waits for any more. */
  readonly #work = new Set<Promise<boolean>>();
  readonly #stop = new AbortController();

  constructor(verify: Verify) {
    this.#verify = verify;
  }

  /** `blob` is closed by `leave`. */
  join(digest: Digest, blob: OpenBlob, size: 'small' | 'large'): Joined {
    const key = `${digest} ${blob.version}`;
    const found = this.#running.get(key);
    const places = size === 'large' ? this.#large : this.#small;
    const running = found === undefined || found.abort.signal.aborted ? this.#start(key, digest, blob, places) : found;
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

  /** Ends all of it for good; resolves when nothing is read any more. Whoever still waits, or comes later, is rejected. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('hashing stops'));
    for (const { abort } of this.#running.values()) abort.abort(this.#stop.signal.reason);
    await Promise.allSettled(this.#work);
  }

  #start(key: string, digest: Digest, blob: OpenBlob, places: Places): Running {
    const abort = new AbortController();
    if (this.#stop.signal.aborted) abort.abort(this.#stop.signal.reason);
    const work = async (): Promise<boolean> => {
      await places.take(blob.size);
      try {
        running.verdict = await this.#verify(digest, blob, abort.signal);
        return running.verdict;
      } finally {
        places.giveBack();
        if (this.#running.get(key) === running) this.#running.delete(key);
        running.ended = true;
        for (const close of running.closing) close();
      }
    };
    const started = Promise.resolve().then(work);
    const running: Running = { right: started, abort, waiting: 0, verdict: undefined, ended: false, closing: [] };
    this.#work.add(started);
    const ended = (): void => void this.#work.delete(started);
    started.then(ended, ended); // Whoever waits for it is told.
    this.#running.set(key, running);
    return running;
  }
}

class Places {
  #free: number;
  readonly #queue: { readonly size: number; readonly go: () => void }[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(size: number): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((go) => this.#queue.push({ size, go }));
  }

  giveBack(): void {
    const [first, ...others] = this.#queue;
    if (first === undefined) {
      this.#free += 1;
      return;
    }
    const next = others.reduce((shortest, each) => (each.size < shortest.size ? each : shortest), first);
    this.#queue.splice(this.#queue.indexOf(next), 1);
    next.go();
  }
}
