import { beforeEach, describe, expect, test } from 'vitest';
import { openDiskBlobStore } from '../../../src/blobs/disk.ts';
import { probeDataDirectory } from '../../../src/blobs/probe.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type DiskOperation, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const random = createSeededRandom(5);
const blobs = '/srv/data/entrepot/blobs';
const parts = '/srv/data/entrepot/parts';

describe('the probe of the data directory', () => {
  const clock = createFakeClock();
  let disk: MemoryDisk;
  const probe = (): Promise<void> => probeDataDirectory({ disk, clock, random, root: '/srv/data' });

  beforeEach(async () => {
    disk = createMemoryDisk({ now: clock.now });
    await openDiskBlobStore({ disk, random, root: '/srv/data', version: '1.0.0' });
  });

  test('goes through every step and leaves nothing', async () => {
    const before = new Map(steps().map((step) => [step, disk.calls(step)]));
    await probe();
    for (const step of steps()) expect([step, disk.calls(step) - (before.get(step) ?? 0)]).not.toEqual([step, 0]);
    expect([...(await disk.list(blobs)), ...(await disk.list(parts))]).toEqual([]);
    expect(disk.openFiles()).toEqual([]);
  });

  test.each(steps())('a disk that fails at %s is told of, with the directory, and nothing is left', async (on) => {
    const lift = disk.fail({ on, nth: 1, as: 'EACCES' });
    await expect(probe()).rejects.toMatchObject({
      name: 'DataDirectoryError',
      reason: 'disk',
      code: 'EACCES',
      message: expect.stringMatching(/\/srv\/data.*chown -R \d+:\d+ \/srv\/data/),
    });
    lift();
    expect([...(await disk.list(blobs)), ...(await disk.list(parts))]).toEqual([]);
    expect(disk.openFiles()).toEqual([]);
    await probe();
  });

  test('parts and blobs on two file systems are told of', async () => {
    disk.fail({ on: 'rename', as: 'EXDEV' });
    await expect(probe()).rejects.toThrow(/one file system/);
  });

  test('a disk that gives back other bytes is told of', async () => {
    disk.fail({ on: 'read', as: { short: 0 } });
    await expect(probe()).rejects.toThrow(/does not read back/);
  });

  test('what an old crash left is swept; a probe of this minute is let be', async () => {
    const leave = async (name: string): Promise<void> => (await disk.open(`${blobs}/${name}`, 'create'))?.close();
    await leave('probe-old');
    await clock.advance(2 * 3600 * 1000);
    await leave('probe-new');
    await probe();
    expect(await disk.list(blobs)).toEqual(['probe-new']);
  });
});

function steps(): DiskOperation[] {
  return ['open', 'write', 'sync', 'rename', 'syncDirectory', 'read', 'unlink'];
}
