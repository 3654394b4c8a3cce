import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobStore } from '../../src/blobs/blob-store.ts';
import { openDiskBlobStore } from '../../src/blobs/disk.ts';
import { withVerification } from '../../src/blobs/with-verification.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import type { Disk } from '../../src/system/disk.ts';
import { randomId, systemRandom } from '../../src/system/random.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { createMemoryDisk } from '../fakes/memory-disk.ts';
import { descriptorsBelow } from '../fakes/descriptors.ts';
import { blobStoreConformance, type StoreUnderTest } from './blob-store.ts';

blobStoreConformance('files on the node disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-blobs-'));
  const again = () => openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root, version: '0.0.0' });
  return {
    store: await again(),
    again,
    async place(bytes) {
      const path = join(root, 'beside', randomId(systemRandom));
      await mkdir(join(root, 'beside'), { recursive: true });
      await writeFile(path, bytes);
      return { path, read: async () => new Uint8Array(await readFile(path)) };
    },
    openFiles: () => descriptorsBelow(root),
    clean: () => rm(root, { recursive: true }),
  };
});

blobStoreConformance('files on the memory disk', () => onMemoryDisk((store) => store));

blobStoreConformance('files on the memory disk, verified', () =>
  onMemoryDisk((store) => withVerification(store, { clock: createFakeClock(), onDamaged: () => undefined })),
);

async function onMemoryDisk(wrap: (store: BlobStore) => BlobStore): Promise<StoreUnderTest> {
  const disk = createMemoryDisk();
  const again = async () => wrap(await openDiskBlobStore({ disk, random: systemRandom, root: '/data', version: '0.0.0' }));
  return {
    store: await again(),
    again,
    async place(bytes) {
      const path = `/beside/${randomId(systemRandom)}`;
      await disk.makeDirectory('/beside');
      const file = await disk.open(path, 'create');
      await file?.write(bytes, 0);
      await file?.close();
      return { path, read: () => readAll(disk, path) };
    },
    openFiles: async () => disk.openFiles().length,
    clean: async () => undefined,
  };
}

async function readAll(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  const file = await disk.open(path, 'read');
  if (file === undefined) return undefined;
  const bytes = new Uint8Array(await file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes;
}
