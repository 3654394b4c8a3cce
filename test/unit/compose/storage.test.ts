import { expect, test } from 'vitest';
import { storageOver } from '../../../src/compose/storage.ts';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { takeTurn } from '../../../src/evict/turn.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { load, ROUTES } from '../config/load.ts';

test('two rooms of one process that want the same turn are no ghosts to each other', async () => {
  const clock = createFakeClock();
  const disk = createMemoryDisk();
  const random = createSeededRandom(1);
  const config = await load(ROUTES);
  const files = await openDiskBlobStore({ disk, random, root: config.storage.rootdirectory, version: 'test' });
  const nothing = (): undefined => undefined;
  const storage = storageOver(
    config,
    { files, store: createMemoryMetadata() },
    { clock, disk, random, report: nothing, onDamaged: nothing, limits: () => config.cache },
  );
  const first = await takeTurn('evict', { clock, ...storage });
  await expect(takeTurn('evict', { clock, ...storage })).rejects.toThrow('another eviction is running');
  await first.check();
  await first.end();
  await (await takeTurn('evict', { clock, ...storage })).end();
});
