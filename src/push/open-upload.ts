import { createHash, type Hash } from 'node:crypto';
import type { BlobStore, Part } from '../blobs/blob-store.ts';
import { finishDigest, type Algorithm, type Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { busyUpload } from './upload-refusals.ts';
import { randomId, type Random } from '../system/random.ts';
import { BodyCut, type PushBody } from './body.ts';
import type { Claim } from './claim.ts';
import type { RunningHash } from './upload-hashes.ts';

/** Bytes after which what came is first made durable; then at every doubling up to the largest step. */
const SYNC_FIRST_BYTES = 4 * 1024 * 1024;
const SYNC_STEP_BYTES = 64 * 1024 * 1024;
const COPY_BYTES = 1024 * 1024;

export interface OpenUploadDeps {
  readonly blobs: BlobStore;
  readonly random: Random;
}

/**
 * The part of an upload whose claim is held, open for writing behind its last acknowledged byte. What a writer before left
 * behind that byte is cut off. Rejects with BodyCut where the client leaves meanwhile. `undefined` when the part has gone or
 * lost acknowledged bytes: there is no going on.
 */
export async function openUpload(
  deps: OpenUploadDeps,
  claim: Claim,
  fenced: boolean,
  signal: AbortSignal,
): Promise<OpenUpload | undefined> {
  const { offset } = claim.record;
  const part = await openPart(deps.blobs, claim.record.part, offset);
  if (part === undefined) return undefined;
  if (!fenced) return new OpenUpload(claim, part);
  const copy = await copyPrefix(deps, part, offset, signal);
  await claim.move({ part: copy.id });
  // Nobody is promised anything of it any more; what cannot be removed now is swept.
  await deps.blobs.removePart(part.id).catch(() => false);
  return new OpenUpload(claim, copy);
}

async function openPart(blobs: BlobStore, id: string, offset: number): Promise<Part | undefined> {
  const part = await blobs.part(id, true).catch((error: unknown) => {
    // It is open here: by a request that lost its claim, and does not know it yet.
    throw error instanceof Error && 'code' in error ? error : busyUpload();
  });
  try {
    if (part.resumedSize > offset) await part.truncate(offset);
    if (part.resumedSize >= offset) return part;
    await part.discard();
    part.release();
    return undefined;
  } catch (error) {
    part.release();
    throw error;
  }
}

/** The acknowledged bytes in a part of their own, which a writer that was given up does not know. */
async function copyPrefix({ blobs, random }: OpenUploadDeps, from: Part, size: number, signal: AbortSignal): Promise<Part> {
  const to = await blobs.part(randomId(random), false);
  try {
    await eachPiece(from, size, signal, (piece, at) => to.write(piece, at));
    await to.sync();
    return to;
  } catch (error) {
    await to.discard().catch(() => undefined); // Swept later.
    to.release();
    throw error;
  } finally {
    from.release();
  }
}

async function eachPiece(
  part: Part,
  size: number,
  signal: AbortSignal,
  use: (piece: Uint8Array, at: number) => Promise<void> | void,
): Promise<void> {
  const chunk = new Uint8Array(Math.min(COPY_BYTES, size));
  for (let at = 0; at < size;) {
    if (signal.aborted) throw new BodyCut('the client has gone');
    const count = await part.read(chunk.subarray(0, Math.min(chunk.byteLength, size - at)), at);
    if (count === 0) throw new Error(`the part ${part.id} ends before its acknowledged size`);
    await use(chunk.subarray(0, count), at);
    at += count;
  }
}

/** Writes one request's bytes. Whoever made it ends it by `close`, whatever came of it. */
export class OpenUpload {
  readonly claim: Claim;
  readonly part: Part;
  /** Behind the last byte that was written. */
  offset: number;
  /** Behind the last byte that is durable. */
  durable: number;
  #running: { readonly algorithm: Algorithm; readonly hash: Hash } | undefined;
  #closed = false;

  constructor(claim: Claim, part: Part) {
    this.claim = claim;
    this.part = part;
    this.offset = claim.record.offset;
    this.durable = this.offset;
  }

  /** Begins to hash; only where no byte was written yet. */
  hashFrom(algorithm: Algorithm): void {
    this.#running = { algorithm, hash: createHash(algorithm) };
  }

  /** Goes on with a hash of the bytes so far. */
  hashOn(running: Pick<RunningHash, 'algorithm' | 'hash'>): void {
    this.#running = running;
  }

  get running(): RunningHash | undefined {
    return this.#running && { ...this.#running, part: this.part.id, offset: this.offset };
  }

  /**
   * Appends a body, at most `bytesMax` of it; `cover` is asked before each write whether it may come so far. Rejects with
   * BodyCut where the client left, with RegistryError SIZE_INVALID where more came, with what `cover` rejects with, and with
   * the disk's error. What was written counts in any case, once `sync` has made it durable.
   */
  async append(body: PushBody, bytesMax: number, cover: (end: number) => Promise<void>): Promise<void> {
    const end = this.offset + bytesMax;
    for (let piece = await body.next(); piece !== undefined; piece = await body.next()) {
      this.claim.check();
      if (this.offset + piece.byteLength > end) {
        throw new RegistryError('SIZE_INVALID', `the body has more than the ${bytesMax} bytes that Content-Range names`);
      }
      await cover(this.offset + piece.byteLength);
      await this.#write(piece);
    }
  }

  /** Hashes while the disk writes. */
  async #write(piece: Uint8Array): Promise<void> {
    const writing = this.part.write(piece, this.offset);
    this.#running?.hash.update(piece);
    await writing;
    this.offset += piece.byteLength;
    const step = Math.min(Math.max(this.durable, SYNC_FIRST_BYTES), SYNC_STEP_BYTES);
    if (this.offset - this.durable < step) return;
    await this.sync();
    await this.claim.move({ offset: this.durable });
  }

  /** Makes what was written durable. After a rejection the part is gone. */
  async sync(): Promise<void> {
    const { offset } = this;
    if (offset === this.durable) return;
    await this.part.sync();
    this.durable = offset;
  }

  /**
   * Of all bytes. Read again where no hash of this algorithm has seen them all; rejects with BodyCut where the client leaves
   * meanwhile, who may come again: a server that ends does not read large uploads through before.
   */
  async digest(algorithm: Algorithm, signal: AbortSignal): Promise<Digest> {
    if (this.#running?.algorithm === algorithm) return finishDigest(this.#running.hash.copy(), algorithm);
    const hash = createHash(algorithm);
    await eachPiece(this.part, this.offset, signal, (piece) => void hash.update(piece));
    return finishDigest(hash, algorithm);
  }

  /**
   * After an error: keeps what came, so that the client can go on behind it, and gives the claim back. Never rejects: what
   * cannot be kept is sent again.
   */
  async keepWhatCame(error: unknown): Promise<void> {
    if (error instanceof BodyCut || error instanceof RegistryError) await this.sync().catch(() => undefined); // Less is kept.
    this.close();
    await this.claim.abandon(this.durable);
  }

  /** Before the claim is given back: whoever takes it next opens the part. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.part.release();
  }
}
