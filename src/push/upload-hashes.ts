import { createHash, type Hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Algorithm } from '../oci/digest.ts';

/** Uploads whose hash is kept between their chunks; of others the part is read again at the end. */
const HASHES_MAX = 1000;

/** A hash on its way, and which bytes of which part it has seen. */
export interface RunningHash {
  readonly algorithm: Algorithm;
  readonly hash: Hash;
  readonly part: string;
  readonly offset: number;
}

/**
 * Hashes of uploads between their chunks, in this process alone. One is good only for the very bytes that it has seen: where
 * another process has written since, the record tells of another offset or part, and the hash is of no use.
 */
export class UploadHashes {
  readonly #hashes = new LRUCache<string, RunningHash>({ max: HASHES_MAX });

  /** `algorithm`: what the client said it would name the blob by. */
  begin(id: string, part: string, algorithm: Algorithm): void {
    this.#hashes.set(id, { algorithm, hash: createHash(algorithm), part, offset: 0 });
  }

  /** Yields it once, so that no two requests can feed it; `undefined` where it does not fit. */
  take(id: string, part: string, offset: number): RunningHash | undefined {
    const running = this.#hashes.get(id);
    this.#hashes.delete(id);
    return running?.part === part && running.offset === offset ? running : undefined;
  }

  keep(id: string, running: RunningHash): void {
    this.#hashes.set(id, running);
  }
}
