import { describe, expect, test } from 'vitest';
import type { FillKey } from '../../../src/metadata/records.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { DiskTrouble, TROUBLE_MS } from '../../../src/pull/fill/disk-trouble.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

const fillOf = (text: string): FillKey => ({ registry: 'docker.io', digest: digestOf(Buffer.from(text)) });
const [one, other] = [fillOf('one'), fillOf('other')];
/** The same digest from another registry is another fill: what that sent may be what had no room. */
const elsewhere = { ...one, registry: 'quay.io' };
const failing = (code: string): Error => Object.assign(new Error(code), { code });
const MIB = 1024 * 1024;

function trouble() {
  const clock = createFakeClock();
  const disk = { up: true };
  return { clock, disk, trouble: new DiskTrouble(clock, () => disk.up) };
}

describe('a disk that failed a fill', () => {
  test.each([
    ['EIO', 0, false],
    ['EIO', 50 * MIB, false],
    ['ENOSPC', 0, true],
    // What it wrote is given back: others may find room.
    ['ENOSPC', 50 * MIB, false],
    ['EDQUOT', 50 * MIB, true],
    ['EROFS', 0, true],
    ['EMFILE', 0, true],
    ['ETIMEDOUT', 9 * MIB, true],
    ['EACCES', 0, true],
  ] as const)('by %s after %i bytes: this one is left alone for a while, all are: %s', async (code, written, all) => {
    const at = trouble();
    at.trouble.failed(one, failing(code), written);
    const now = (): readonly boolean[] => [at.trouble.lastsFor(one), at.trouble.lastsFor(other), at.trouble.lasts()];
    expect(now()).toEqual([true, all, all]);
    expect(at.trouble.lastsFor(elsewhere)).toBe(all);
    await at.clock.advance(TROUBLE_MS - 1);
    expect(now()).toEqual([true, all, all]);
    await at.clock.advance(1);
    expect(now()).toEqual([false, false, false]);
  });

  test('what is known of it by others holds on, and ends it', async () => {
    const at = trouble();
    at.trouble.failed(one, failing('ETIMEDOUT'), 0);
    at.disk.up = false;
    await at.clock.advance(10 * TROUBLE_MS);
    expect([at.trouble.lastsFor(one), at.trouble.lastsFor(other)]).toEqual([true, true]);
    at.disk.up = true;
    expect([at.trouble.lastsFor(one), at.trouble.lastsFor(other)]).toEqual([false, false]);
    // Trouble of another kind is no reason where no fill has failed.
    at.disk.up = false;
    expect(at.trouble.lasts()).toBe(false);
  });

  test('three in a row are the disk, whatever they say; one that was kept in between shows that it is not', () => {
    const at = trouble();
    const fills = ['a', 'b', 'c', 'd'].map(fillOf);
    for (const fill of fills.slice(0, 2)) at.trouble.failed(fill, failing('EIO'), 0);
    at.trouble.kept();
    at.trouble.failed(fills[2]!, new Error('no code'), 0);
    at.trouble.failed(fills[3]!, failing('EIO'), 0);
    expect(at.trouble.lasts()).toBe(false);
    at.trouble.failed(one, failing('EIO'), 0);
    expect(at.trouble.lastsFor(other)).toBe(true);
  });

  test('is remembered of a thousand fills', () => {
    const at = trouble();
    at.trouble.failed(one, failing('EIO'), 0);
    at.trouble.kept();
    for (let count = 0; count < 1000; count += 1) {
      at.trouble.failed(fillOf(String(count)), failing('EIO'), 0);
      at.trouble.kept();
    }
    expect(at.trouble.lastsFor(one)).toBe(false);
  });
});
