import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { FileDamaged, type BlobStore, type OpenBlob, type Part, type VerifiedBlobStore } from './blob-store.ts';
import { Known } from './known.ts';
import { Patience } from './patience.ts';
import { Verifications, type Joined } from './verifications.ts';
import { isRight } from './verify.ts';

/** Up to this a file is verified before its first byte: about 2 ms of hashing. A damaged one is simply absent then. */
export const FIRST_BYTES = 4 * 1024 * 1024;

/** The last bytes of a larger one, which nobody gets before the whole is known to be right (promise 1). */
export const TAIL_BYTES = 64 * 1024;

export interface VerificationOptions {
  readonly clock: Clock;
  /** A damaged file was moved away. */
  readonly onDamaged: (digest: Digest, why: string) => void;
}

/**
 * The same store, of which nobody gets the whole of a damaged file: one that is not known to be right is read through beside
 * its first reader, and hashed. What is known holds for that very file as it then was, for some time (`known.ts`), so that
 * reading it again costs nothing. What was just published is known: its bytes were hashed on their way in.
 */
export function withVerification(store: BlobStore, { clock, onDamaged }: VerificationOptions): VerifiedBlobStore {
  const known = new Known(clock);
  const patience = new Patience(clock);
  const running = new Verifications(async (digest, blob, signal) => {
    const right = await isRight(blob, digest, { signal });
    known.note(digest, blob, right);
    if (!right && (await store.quarantine(digest, blob.version, clock.now())))
      onDamaged(digest, 'the bytes on disk are not those of the digest');
    return right;
  });

  async function open(digest: Digest): Promise<OpenBlob | undefined> {
    const blob = await store.open(digest);
    const right = blob === undefined ? undefined : known.of(digest, blob);
    if (blob === undefined || right === true) return blob;
    // A disk that does not let it be moved away does not make it right.
    if (right === false) return void blob.close();
    return blob.size <= FIRST_BYTES
      ? verifiedFirst(digest, blob)
      : heldBack(blob, () => running.join(digest, blob, 'large'), digest);
  }

  async function verifiedFirst(digest: Digest, blob: OpenBlob): Promise<OpenBlob | undefined> {
    const { right } = running.join(digest, blob, 'small');
    const close = (): void => blob.close();
    try {
      if (await patience.limit('reading a file through', right)) return blob;
    } catch (error) {
      // A disk that is too slow for this one is read on for those who come later.
      right.then(close, close);
      throw error;
    }
    close();
    return undefined;
  }

  return {
    ...store,
    open,
    quiet: () => running.stop(),
    part: async (id, resume, expected) => knowing(await store.part(id, resume, expected)),
    async linkedPart(id, path) {
      const part = await store.linkedPart(id, path);
      return part && knowing(part);
    },
    async verify(digest, options = {}) {
      const blob = await store.open(digest);
      if (blob === undefined) return undefined;
      try {
        const right = await isRight(blob, digest, options);
        known.note(digest, blob, right);
        return { right, size: blob.size, version: blob.version };
      } finally {
        blob.close();
      }
    },
  };

  function knowing(part: Part): Part {
    return {
      ...part,
      async publish(digest) {
        await part.publish(digest);
        const held = await store.look(digest).catch(() => undefined); // Then it is hashed when it is read.
        if (held !== undefined) known.note(digest, held, true);
      },
    };
  }
}

/** Its tail waits until the rest is known to be right. Hashing begins with the first read: many open it for its size only. */
function heldBack(blob: OpenBlob, join: () => Joined, digest: Digest): OpenBlob {
  const tail = blob.size - TAIL_BYTES;
  let joined: Joined | undefined;
  return {
    size: blob.size,
    version: blob.version,
    async read(into, position) {
      joined ??= join();
      if (joined.verdict() === false) throw new FileDamaged(digest);
      const room = tail - position;
      if (room > 0) return blob.read(into.subarray(0, Math.min(into.byteLength, room)), position);
      if (!(await joined.right)) throw new FileDamaged(digest);
      return blob.read(into, position);
    },
    close() {
      if (joined === undefined) blob.close();
      else joined.leave();
    },
  };
}
