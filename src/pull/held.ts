import type { BlobStore } from '../blobs/blob-store.ts';
import type { Digest } from '../oci/digest.ts';
import { etagOf, type Content, type Reader } from './content.ts';

/** Bytes on disk. Opened once per reader; a file that was cut short under our feet breaks the reader, never ends it. */
export function heldContent(blobs: BlobStore, digest: Digest, size: number): Content {
  return {
    digest,
    size,
    etag: etagOf(digest),
    async open(from, to) {
      const file = await blobs.open(digest);
      if (file === undefined) throw new Error(`${digest} went from the disk while it was being asked for`);
      if (file.size !== size) {
        file.close();
        throw new Error(`${digest} has ${file.size} bytes on disk instead of ${size}`);
      }
      return heldReader(file, from, to ?? size, digest);
    },
  };
}

function heldReader(
  file: { read(into: Uint8Array, position: number): Promise<number>; close(): void },
  from: number,
  to: number,
  digest: Digest,
): Reader {
  let position = from;
  let closed = false;
  return {
    async read(into) {
      const wanted = Math.min(into.byteLength, to - position);
      if (wanted === 0) return 0;
      const count = await file.read(into.subarray(0, wanted), position);
      if (count === 0) throw new Error(`${digest} ends on disk before its size`);
      position += count;
      return count;
    },
    close() {
      if (closed) return;
      closed = true;
      file.close();
    },
  };
}
