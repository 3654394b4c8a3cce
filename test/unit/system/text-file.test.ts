import { beforeEach, describe, expect, test } from 'vitest';
import { textFile } from '../../../src/system/text-file.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { putFile } from '../../fakes/put-file.ts';

const PATH = '/etc/entrepot/secret';

let clock: FakeClock;
let disk: MemoryDisk;
let look: ReturnType<typeof textFile>;

beforeEach(async () => {
  clock = createFakeClock();
  disk = createMemoryDisk({ now: clock.now });
  await putFile(disk, PATH, 'first');
  look = textFile(PATH, { disk, clock });
});

describe('a small file of text', () => {
  test('[S52] is read when it changes, and not otherwise', async () => {
    expect(await look()).toEqual({ text: 'first', trouble: undefined });
    await look();
    expect(disk.calls('read')).toBe(2);
    await putFile(disk, PATH, 'other');
    expect(await look()).toEqual({ text: 'other', trouble: undefined });
    expect(disk.openFiles()).toEqual([]);
  });

  test('[S52] that looks the same is not read for ten seconds, and then is', async () => {
    await look();
    disk.meddle(PATH, Buffer.from('other'));
    expect((await look()).text).toBe('first');
    await clock.advance(10_000);
    expect((await look()).text).toBe('other');
  });

  test('whose times and size a copy has kept is another file', async () => {
    await look();
    const real = disk.stat.bind(disk);
    disk.meddle(PATH, Buffer.from('other'));
    disk.stat = async (path) => {
      const stat = await real(path);
      return stat && { ...stat, changed: stat.changed + 1 };
    };
    expect((await look()).text).toBe('other');
  });

  test('stands as it was, with what is wrong, while it cannot be read, is empty, or is gone', async () => {
    await look();
    await putFile(disk, PATH, ' \n');
    expect(await look()).toEqual({ text: 'first', trouble: 'empty' });
    await putFile(disk, PATH, 'third');
    const lift = disk.fail({ on: 'open', as: 'EACCES' });
    expect(await look()).toEqual({ text: 'first', trouble: 'EACCES' });
    lift();
    expect(await look()).toEqual({ text: 'third', trouble: undefined });
    await disk.unlink(PATH);
    expect(await look()).toEqual({ text: 'third', trouble: 'ENOENT' });
    expect(await textFile(PATH, { disk, clock })()).toEqual({ text: undefined, trouble: 'ENOENT' });
  });

  test('is small, and a file', async () => {
    await putFile(disk, PATH, 'x'.repeat(1_048_577));
    expect((await look()).trouble).toBe('EFBIG');
    await putFile(disk, PATH, 'x'.repeat(1_048_576));
    expect((await look()).text).toHaveLength(1_048_576);
    expect((await textFile('/etc/entrepot', { disk, clock })()).trouble).toBe('no file');
  });
});
