import type { Hash } from 'node:crypto';
import type { Part } from '../../blobs/blob-store.ts';
import type { FillKey } from '../../metadata/records.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Brought } from './brought.ts';
import { Fresh } from './fresh.ts';

/** The last bytes of a blob, which nobody gets before digest and size match (architecture.md, decision 1). */
export const TAIL_BYTES = 64 * 1024;

/** Blobs of known size up to this are verified before their first byte leaves (promise 1). */
export const SMALL_BYTES = 256 * 1024;

/** The same once wrong bytes have been sent: who was cut for them and asks again is not cut a second time. */
const SPOILT_BYTES = 32 * 1024 * 1024;

/**
 * `running`: bytes arrive. `done`: verified. `failed`: nothing more comes, whoever waits is cut. `bypass`: the disk gave up
 * at `written`; the file is good up to there, and each reader goes on by itself from the frontier.
 */
export type Phase = 'running' | 'done' | 'failed' | 'bypass';

/**
 * A fill as plain data: what stands in the part file, and up to where it may be read. One writer moves it on; readers look
 * and wait. Knows no upstream, no metadata and no HTTP.
 */
export class Growing implements FillKey {
  readonly registry: string;
  readonly digest: Digest;
  /** How the bytes came. */
  readonly brought: Brought;
  /** Counts the attempts from the first byte; a reader that had bytes of an older one is cut. */
  generation = 0;
  phase: Phase = 'running';
  part: Part | undefined;
  size: number | undefined;
  /** In this generation somebody has supplied bytes: the size is as known as it will be before the end. */
  answered = false;
  written = 0;
  frontier = 0;
  readonly fresh = new Fresh();
  /** Why it failed. */
  error: unknown;
  /** In `bypass`: the hash of the bytes up to `written`. */
  hash: Hash | undefined;
  readonly #waiting = new Set<() => void>();

  constructor({ registry, digest }: FillKey, size: number | undefined, brought: Brought) {
    this.registry = registry;
    this.digest = digest;
    this.brought = brought;
    this.size = size;
  }

  /** The writer has `written` bytes in the file. */
  advance(written: number): void {
    this.written = written;
    this.frontier = safeFrontier(written, this.size, this.generation === 0 ? SMALL_BYTES : SPOILT_BYTES);
    this.wake();
  }

  /** Another process has told that its file may be read up to here. */
  follow(frontier: number): void {
    this.answered = true;
    this.written = frontier;
    this.frontier = frontier;
    this.wake();
  }

  /** What was written turned out wrong: from the start again, in another part, of the size that is sure. */
  restart(size: number | undefined): void {
    this.generation += 1;
    this.brought.restart();
    this.answered = false;
    this.part = undefined;
    this.size = size;
    this.written = 0;
    this.frontier = 0;
    this.wake();
  }

  verified(): void {
    this.size = this.written;
    this.frontier = this.written;
    this.phase = 'done';
    this.wake();
  }

  fail(error: unknown): void {
    this.error = error;
    this.phase = 'failed';
    this.wake();
  }

  giveUpDisk(hash: Hash, error: unknown): void {
    this.hash = hash;
    this.error = error;
    this.phase = 'bypass';
    this.wake();
  }

  /** Calls back once at the next change; the returned function takes it back. */
  onChange(callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const callback of waiting) callback();
  }
}

/** Whether what ends at `to` (the end, where `undefined`) has bytes of a small blob or of the tail, which are verified first. */
export function waitsForDigest(size: number | undefined, to: number | undefined): boolean {
  return size === undefined || size <= SMALL_BYTES || to === undefined || to > size - TAIL_BYTES;
}

/** Up to where unverified bytes may be read; nowhere in a blob of up to `verifiedFirstBytes`. */
function safeFrontier(written: number, size: number | undefined, verifiedFirstBytes: number): number {
  if (size !== undefined && size <= verifiedFirstBytes) return 0;
  return Math.max(0, Math.min(written, (size ?? written) - TAIL_BYTES));
}
