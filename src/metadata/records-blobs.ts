import { blobForm, partForm } from './forms.ts';
import { BLOB_KEY, PART_KEY, digestSlot } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Records } from './records.ts';
import type { Table } from './table.ts';

type Blobs = Pick<Records, 'blob' | 'putBlob' | 'dropBlob' | 'part' | 'putPart' | 'dropPart'>;

export function createBlobs(table: Table): Blobs {
  const { store } = table;
  return {
    blob: (digest) => table.get(digestSlot(digest), BLOB_KEY, blobForm),
    async putBlob(digest, record) {
      await store.commit(digestSlot(digest), [{ key: BLOB_KEY, value: blobForm.encode(record) }]);
    },
    async dropBlob(digest) {
      await store.commit(digestSlot(digest), [{ key: BLOB_KEY, value: undefined }]);
    },
    part: (digest) =>
      andThen(table.get(digestSlot(digest), PART_KEY, partForm), (part) => part && { ...part, size: part.size }),
    async putPart(digest, record) {
      await store.commit(digestSlot(digest), [{ key: PART_KEY, value: partForm.encode(record) }]);
    },
    async dropPart(digest) {
      await store.commit(digestSlot(digest), [{ key: PART_KEY, value: undefined }]);
    },
  };
}
