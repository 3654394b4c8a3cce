import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk } from '../../src/system/node-disk.ts';
import { descriptorsBelow } from '../fakes/descriptors.ts';
import { createMemoryDisk } from '../fakes/memory-disk.ts';
import { diskConformance } from './disk.ts';

diskConformance('node', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-disk-'));
  return {
    disk: nodeDisk,
    directory,
    openFiles: () => descriptorsBelow(directory),
    clean: () => rm(directory, { recursive: true, force: true }),
  };
});

diskConformance('memory', async () => {
  const disk = createMemoryDisk();
  await disk.makeDirectory('/test');
  return { disk, directory: '/test', openFiles: async () => disk.openFiles().length, clean: async () => undefined };
});
