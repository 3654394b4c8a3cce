import { algorithmOf, finishDigest, startDigest, type Digest } from '../oci/digest.ts';
import type { Disk } from '../system/disk.ts';
import { randomId, type Random } from '../system/random.ts';
import { nextTurn } from '../system/turn.ts';
import type { BlobStore, Part } from './blob-store.ts';

export interface TakeDeps {
  readonly disk: Disk;
  readonly blobs: BlobStore;
  readonly random: Random;
}

/** `held`: its bytes were here before. `absent`: no regular file is there. `wrong`: it holds something else. */
export type Taken =
  | { readonly kind: 'linked' | 'copied' | 'held'; readonly size: number }
  | { readonly kind: 'absent' }
  | { readonly kind: 'wrong' };

/** Takes a digest's bytes in from a file that is not ours. Rejects with the disk's error. */
export type Take = (digest: Digest, path: string) => Promise<Taken>;

/** Files that are hashed at once: more would only make all of them slower, and requests beside them. */
const AT_ONCE = 4;
const CHUNK = 1024 * 1024;

/**
 * Every byte is hashed before the digest is held, whether the file gets a second name or is copied, and the file itself is
 * only read. However many ask for a digest, it is taken once.
 */
export function createTake(deps: TakeDeps): Take {
  const running = new Map<Digest, Promise<Taken>>();
  const turn = createTurns(AT_ONCE);
  return (digest, path) => {
    const joined = running.get(digest);
    if (joined !== undefined) return joined;
    const taking = turn(() => takeIn(deps, digest, path)).finally(() => running.delete(digest));
    running.set(digest, taking);
    return taking;
  };
}

function createTurns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = atOnce;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

async function takeIn({ disk, blobs, random }: TakeDeps, digest: Digest, path: string): Promise<Taken> {
  const there = (await disk.isFile(path)) ? await disk.stat(path) : undefined;
  const held = await heldSize(blobs, digest);
  if (held !== undefined && (there === undefined || held === there.size)) return { kind: 'held', size: held };
  if (there === undefined) return { kind: 'absent' };
  const linked = await blobs.linkedPart(randomId(random), path);
  if (linked !== undefined) return ending(linked, async () => finish(linked, digest, await hashPart(linked, digest), 'linked'));
  const part = await blobs.part(randomId(random), false);
  return ending(part, async () => {
    const copied = await copyInto(disk, part, digest, path);
    return copied === undefined ? { kind: 'absent' } : finish(part, digest, copied, 'copied');
  });
}

async function heldSize(blobs: BlobStore, digest: Digest): Promise<number | undefined> {
  const file = await blobs.open(digest);
  file?.close();
  return file?.size;
}

interface Hashed {
  readonly digest: Digest;
  readonly size: number;
}

async function finish(part: Part, digest: Digest, found: Hashed, kind: 'linked' | 'copied'): Promise<Taken> {
  if (found.digest !== digest) return { kind: 'wrong' };
  await part.publish(digest);
  return { kind, size: found.size };
}

/** Whatever was not published goes. */
async function ending(part: Part, work: () => Promise<Taken>): Promise<Taken> {
  try {
    const taken = await work();
    if (taken.kind === 'wrong' || taken.kind === 'absent') await part.discard();
    return taken;
  } catch (error) {
    await part.discard().catch(() => undefined); // The first failure is the one to tell.
    throw error;
  } finally {
    part.release();
  }
}

function hashPart(part: Part, digest: Digest): Promise<Hashed> {
  return hashAll((into, at) => part.read(into, at), digest);
}

async function copyInto(disk: Disk, part: Part, digest: Digest, path: string): Promise<Hashed | undefined> {
  const file = await disk.open(path, 'read');
  if (file === undefined) return undefined;
  try {
    return await hashAll(
      (into, at) => file.read(into, at),
      digest,
      (bytes, at) => part.write(bytes, at),
    );
  } finally {
    await file.close();
  }
}

async function hashAll(
  read: (into: Uint8Array, at: number) => Promise<number>,
  digest: Digest,
  write?: (bytes: Uint8Array, at: number) => Promise<void>,
): Promise<Hashed> {
  const hash = startDigest(digest);
  const into = Buffer.allocUnsafe(CHUNK);
  let size = 0;
  for (let count = await read(into, 0); count > 0; count = await read(into, size)) {
    const bytes = into.subarray(0, count);
    hash.update(bytes);
    await write?.(bytes, size);
    size += count;
    await nextTurn();
  }
  return { digest: finishDigest(hash, algorithmOf(digest)), size };
}
