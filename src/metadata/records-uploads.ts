import type { Clock } from '../system/clock.ts';
import { listedUploadForm, uploadForm } from './forms.ts';
import type { UploadRecord } from './hosted.ts';
import { UPLOADS_SLOT, listedUploadKey, repositorySlot, uploadKey } from './keys.ts';
import type { Records } from './records.ts';
import { putIfAbsent, untilMade, type Table } from './table.ts';

type Uploads = Pick<Records, 'upload' | 'putUpload' | 'dropUpload' | 'uploads'>;

/**
 * Uploads in progress, each in its repository's slot, and the list of all in a slot of its own. Whoever begins one lists it
 * before and looks again after; whoever drops one takes it off the list last and looks again for the upload.
 */
export function createUploads(table: Table, clock: Clock): Uploads {
  const { store } = table;

  const enlist = (repository: string, id: string): Promise<void> =>
    putIfAbsent(
      store,
      UPLOADS_SLOT,
      listedUploadKey(repository, id),
      listedUploadForm.encode({ repository, id, at: clock.now() }),
    );

  async function replace(repository: string, id: string, before: UploadRecord | undefined, record: UploadRecord) {
    const [slot, key] = [repositorySlot(repository), uploadKey(id)];
    const now = await table.getStored(slot, key, uploadForm);
    if (!uploadForm.same(now.record, before)) return false;
    return store.commit(slot, [{ key, value: uploadForm.encode(record) }], [{ key, value: now.bytes }]);
  }

  /** `stays`: stands otherwise than `before`. */
  async function remove(repository: string, id: string, before?: UploadRecord): Promise<'gone' | 'none' | 'stays'> {
    const [slot, key] = [repositorySlot(repository), uploadKey(id)];
    return untilMade(async () => {
      const { bytes, record } = await table.getStored(slot, key, uploadForm);
      if (bytes === undefined) return 'none';
      if (before !== undefined && !uploadForm.same(record, before)) return 'stays';
      return (await store.commit(slot, [{ key, value: undefined }], [{ key, value: bytes }])) ? 'gone' : undefined;
    });
  }

  return {
    upload: (repository, id) => table.get(repositorySlot(repository), uploadKey(id), uploadForm),
    async putUpload(repository, id, before, record) {
      if (before !== undefined) return replace(repository, id, before, record);
      await enlist(repository, id);
      const begun = await replace(repository, id, before, record);
      await enlist(repository, id);
      return begun;
    },
    async dropUpload(repository, id, before) {
      const removed = await remove(repository, id, before);
      if (removed === 'stays') return false;
      await store.commit(UPLOADS_SLOT, [{ key: listedUploadKey(repository, id), value: undefined }]);
      const again = await store.get(repositorySlot(repository), uploadKey(id));
      if (again !== undefined) await enlist(repository, id);
      return removed === 'gone';
    },
    async uploads(after, limit) {
      const entries = await table.list(UPLOADS_SLOT, 'uploads', after, limit, listedUploadForm);
      return Promise.all(
        entries.map(async ({ id: cursor, record: { repository, id, at } }) => {
          const record = await table.get(repositorySlot(repository), uploadKey(id), uploadForm);
          return { cursor, repository, id, record, at: record?.at ?? at };
        }),
      );
    },
  };
}
