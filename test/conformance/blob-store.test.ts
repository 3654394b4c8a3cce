import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDiskBlobStore } from '../../src/blobs/disk.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import { systemRandom } from '../../src/system/random.ts';
import { createMemoryDisk } from '../fakes/memory-disk.ts';
import { descriptorsBelow } from '../fakes/descriptors.ts';
import { blobStoreConformance } from './blob-store.ts';

blobStoreConformance('files on the node disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-blobs-'));
  const again = () => openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root, version: '0.0.0' });
  return { store: await again(), again, openFiles: () => descriptorsBelow(root), clean: () => rm(root, { recursive: true }) };
});

blobStoreConformance('files on the memory disk', async () => {
  const disk = createMemoryDisk();
  const again = () => openDiskBlobStore({ disk, random: systemRandom, root: '/data', version: '0.0.0' });
  return { store: await again(), again, openFiles: async () => disk.openFiles().length, clean: async () => undefined };
});
