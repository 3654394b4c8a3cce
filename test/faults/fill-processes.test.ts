import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { randomBlob } from '../fakes/images.ts';
import { createMemoryDisk } from '../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../fakes/memory-metadata.ts';
import { createScriptedPort, type ScriptedPort } from '../fakes/scripted-port.ts';
import { bytesOf, createHouse, drain, gate, settle, sha256 } from '../unit/pull/house.ts';

const big = randomBlob(3_000_000, 9);

/** Two processes over one disk and one store, each with a clock of its own that can stand still. */
async function two(one: ScriptedPort, other: ScriptedPort, isDead?: (holder: string) => boolean) {
  const disk = createMemoryDisk();
  const metadata = createMemoryMetadata({ async: true });
  const clocks = [createFakeClock(), createFakeClock()] as const;
  const houses = [
    await createHouse({ chain: [one], disk, metadata, clock: clocks[0] }),
    await createHouse({ chain: [other], disk, metadata, clock: clocks[1], process: 1, ...(isDead ? { isDead } : {}) }),
  ] as const;
  const pass = async (ms: number, which: readonly number[] = [0, 1]): Promise<void> => {
    for (let at = 0; at < ms; at += 100) {
      for (const index of which) await clocks[index as 0 | 1].advance(100);
      await settle(10);
    }
  };
  return { disk, metadata, clocks, houses, pass };
}

function leader(after: number): { port: ScriptedPort; open(): void } {
  const { opened, open } = gate();
  return { port: createScriptedPort('hub', () => ({ bytes: big.bytes, hold: { after, until: opened } })), open };
}

describe('two processes, one disk', () => {
  test('[decision 2] the second follows the first by the frontier that it tells, never by the size of the file', async () => {
    const { port: one, open } = leader(2_000_000);
    const other = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const { houses, pass, disk } = await two(one, other);
    const [first, second] = houses;
    const leading = drain(await first.blob('a/b', big.digest));
    await settle();
    const asked = second.blob('a/b', big.digest);
    // The file of the first is longer than what it has told.
    await pass(600);
    expect(second.fills.running()[0]).toMatchObject({ frontier: 2_000_000, size: big.size });
    const following = drain(await asked);
    await settle();
    open();
    await pass(600);
    for (const { bytes, broken } of await Promise.all([leading, following])) {
      expect(broken).toBeUndefined();
      expect(sha256(bytes)).toBe(big.digest);
    }
    expect([one.gets().length, other.gets().length, other.heads().length]).toEqual([1, 0, 1]);
    await pass(10_100);
    expect(disk.openFiles()).toEqual([]);
    for (const house of houses) {
      expect(house.fills.running()).toEqual([]);
      expect(house.counted('fill-started')).toBe(house.counted('fill-ended'));
    }
  });

  test('[R08] a leader that falls silent is taken over from what it told; awake again, it corrupts nothing', async () => {
    const { port: one, open } = leader(2_000_000);
    const other = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const { houses, pass, disk, clocks } = await two(one, other);
    const [first, second] = houses;
    const leading = drain(await first.blob('a/b', big.digest));
    await settle();
    const asked = second.blob('a/b', big.digest);
    await pass(600);
    const following = drain(await asked);
    // The first stands still, its clock with it.
    await pass(6_000, [1]);
    const read = await following;
    expect([read.broken, sha256(read.bytes)]).toEqual([undefined, big.digest]);
    expect(other.starts()).toEqual([2_000_000]);
    open();
    await clocks[0].advance(0);
    await pass(2_000);
    const woken = await leading;
    expect([big.digest, 'cut']).toContain(woken.broken === undefined ? sha256(woken.bytes) : 'cut');
    for (const house of houses) {
      expect(sha256(await bytesOf(await house.blob('a/b', big.digest)))).toBe(big.digest);
    }
    await pass(10_100);
    expect(disk.openFiles()).toEqual([]);
    for (const house of houses) expect(house.fills.running()).toEqual([]);
  });

  test('[decision 2] a leader that lost its lease follows the other, and its readers notice nothing', async () => {
    const { port: one } = leader(2_000_000);
    const { port: other, open } = leader(500_000);
    const { houses, pass, disk } = await two(one, other);
    const [first, second] = houses;
    const leading = drain(await first.blob('a/b', big.digest));
    await settle();
    const asked = second.blob('a/b', big.digest);
    await pass(600);
    const following = drain(await asked);
    await pass(6_000, [1]);
    // The second leads by now and waits; the first wakes and finds its lease gone.
    await pass(600);
    expect(first.fills.running()).toHaveLength(1);
    expect(one.openBodies()).toBe(0);
    open();
    await pass(1_000);
    for (const { bytes, broken } of await Promise.all([leading, following])) {
      expect([broken, sha256(bytes)]).toEqual([undefined, big.digest]);
    }
    await pass(10_100);
    expect(disk.openFiles()).toEqual([]);
    expect(await first.blobs.parts()).toEqual([]);
  });

  test('[promise 1] bytes of another generation are not gone on with: who had them is cut', async () => {
    const wrong = Buffer.from(big.bytes);
    wrong[7] = wrong[7]! ^ 1;
    const { opened, open } = gate();
    const one = createScriptedPort('hub', (_, at) =>
      at === 0 ? { bytes: wrong, hold: { after: 2_000_000, until: opened } } : { bytes: big.bytes },
    );
    const fine = createScriptedPort('other', () => ({ bytes: big.bytes }));
    const disk = createMemoryDisk();
    const metadata = createMemoryMetadata({ async: true });
    const clocks = [createFakeClock(), createFakeClock()] as const;
    const first = await createHouse({ chain: [one, fine], disk, metadata, clock: clocks[0] });
    const second = await createHouse({ chain: [fine], disk, metadata, clock: clocks[1], process: 1 });
    await first.blob('a/b', big.digest);
    await settle();
    await clocks[0].advance(200);
    const asked = second.blob('a/b', big.digest);
    await settle();
    await clocks[1].advance(200);
    const following = drain(await asked);
    await settle();
    // The first finds its bytes wrong, begins anew and finishes, all between two looks of the second.
    open();
    await settle(100);
    await clocks[1].advance(1_000);
    const { bytes, broken } = await following;
    expect(broken).toBeInstanceOf(Error);
    expect(bytes.length).toBeLessThan(big.size);
    expect(sha256(await bytesOf(await second.blob('a/b', big.digest)))).toBe(big.digest);
  });

  test('[decision 2] a leader that is known to be dead is taken over at once', async () => {
    const { port: one } = leader(2_000_000);
    const other = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const { houses } = await two(one, other, (holder) => holder.startsWith('host 0 '));
    await houses[0].blob('a/b', big.digest);
    await settle();
    expect(sha256(await bytesOf(await houses[1].blob('a/b', big.digest)))).toBe(big.digest);
    expect(other.gets()).toHaveLength(1);
  });

  test('[R34] a wall clock that goes back an hour keeps no dead leader alive', async () => {
    const { port: one } = leader(2_000_000);
    const other = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const { houses, pass, clocks } = await two(one, other);
    await houses[0].blob('a/b', big.digest);
    await settle();
    clocks[1].jump(-3_600_000);
    const asked = houses[1].blob('a/b', big.digest);
    await pass(6_000, [1]);
    expect(sha256(await bytesOf(await asked))).toBe(big.digest);
  });

  test('[decision 2] a store that goes down in mid-fill: each goes on alone, from what it has', async () => {
    const { port: one, open } = leader(2_000_000);
    const other = createScriptedPort('hub', () => ({ bytes: big.bytes }));
    const { houses, pass, metadata } = await two(one, other);
    const leading = drain(await houses[0].blob('a/b', big.digest));
    await settle();
    const asked = houses[1].blob('a/b', big.digest);
    await pass(600);
    const following = drain(await asked);
    await settle();
    metadata.setDown(true);
    await pass(600);
    open();
    await pass(600);
    for (const { bytes, broken } of await Promise.all([leading, following])) {
      expect([broken, sha256(bytes)]).toEqual([undefined, big.digest]);
    }
    expect(other.starts()).toEqual([2_000_000]);
  });
});
