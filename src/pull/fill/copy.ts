import type { OpenBlob, Part } from '../../blobs/blob-store.ts';
import { readFully } from '../../system/read-fully.ts';

type Readable = Pick<Part, 'read'>;

const CHUNK_BYTES = 1024 * 1024;

/** Appends the first bytes of one file to another, which is empty. Rejects where they are not all there. */
export async function copyBytes(from: Readable, to: Pick<Part, 'write'>, bytes: number): Promise<void> {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
  for (let position = 0; position < bytes; position += chunk.byteLength) {
    const wanted = chunk.subarray(0, Math.min(chunk.byteLength, bytes - position));
    if (!(await fill(from, wanted, position))) throw new Error('a part is shorter than the frontier that was told');
    await to.write(wanted, position);
  }
}

/** Whether two files have the same first bytes. */
export async function sameBytes(one: Readable, other: Readable, bytes: number): Promise<boolean> {
  const [a, b] = [Buffer.alloc(Math.min(CHUNK_BYTES, bytes)), Buffer.alloc(Math.min(CHUNK_BYTES, bytes))];
  for (let position = 0; position < bytes; position += a.byteLength) {
    const length = Math.min(a.byteLength, bytes - position);
    const [left, right] = [a.subarray(0, length), b.subarray(0, length)];
    if (!(await fill(one, left, position)) || !(await fill(other, right, position)) || !left.equals(right)) return false;
  }
  return true;
}

/** False when the file ends before `into` is full. */
async function fill(from: Readable, into: Uint8Array, position: number): Promise<boolean> {
  return (await readFully(from, into, position)) === into.byteLength;
}

/** A held blob in the place of the part that it was, for the readers that go on. */
export function heldAsPart(held: OpenBlob): Part {
  let users = 1;
  const refuse = (): Promise<never> => Promise.reject(new Error('a held blob is not written to'));
  return {
    id: '',
    resumedSize: held.size,
    read: (into, position) => held.read(into, position),
    write: refuse,
    truncate: refuse,
    expect: () => Promise.resolve(),
    sync: refuse,
    publish: refuse,
    discard: refuse,
    retain: () => (users += 1),
    release() {
      users -= 1;
      if (users === 0) held.close();
    },
  };
}
