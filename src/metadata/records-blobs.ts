import type { Digest } from '../oci/digest.ts';
import { blobForm, partForm } from './forms.ts';
import { BLOB_KEY, digestSlot, partKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { BlobRecord, Records } from './records.ts';
import { untilMade, type Table } from './table.ts';

type Blobs = Pick<Records, 'blob' | 'putBlob' | 'dropBlob' | 'part' | 'putPart' | 'dropPart'>;

export function createBlobs(table: Table): Blobs {
  const { store } = table;

  /** False, and nothing changed, while the digest is on its way out: only `forget` and `endEviction` end that. */
  const replace = (digest: Digest, next: BlobRecord | undefined): Promise<boolean> =>
    untilMade(async () => {
      const { bytes, record } = await table.getStored(digestSlot(digest), BLOB_KEY, blobForm);
      if (record !== undefined && record.state !== 'held') return false;
      const changes = [{ key: BLOB_KEY, value: next && blobForm.encode(next) }];
      return (await store.commit(digestSlot(digest), changes, [{ key: BLOB_KEY, value: bytes }])) || undefined;
    });

  return {
    blob: (digest) => table.get(digestSlot(digest), BLOB_KEY, blobForm),
    putBlob: replace,
    async dropBlob(digest) {
      await replace(digest, undefined);
    },
    part: ({ registry, digest }) =>
      andThen(table.get(digestSlot(digest), partKey(registry), partForm), (part) => part && { ...part, size: part.size }),
    async putPart({ registry, digest }, record) {
      await store.commit(digestSlot(digest), [{ key: partKey(registry), value: partForm.encode(record) }]);
    },
    async dropPart({ registry, digest }) {
      await store.commit(digestSlot(digest), [{ key: partKey(registry), value: undefined }]);
    },
  };
}
