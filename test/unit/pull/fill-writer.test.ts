import { describe, expect, test } from 'vitest';
import { RECORD_FIRST_BYTES, SYNC_MS } from '../../../src/pull/fill/writer.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { createHeldDisk } from './held-disk.ts';
import { bytesOf, createHouse, gate, settle, sha256 } from './house.ts';

const PIECE = 64 * 1024;
const blob = randomBlob(9_000_000, 1);
const BLOB = { registry: 'docker.io', digest: blob.digest };

async function house() {
  const held = createHeldDisk();
  const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes, chunkBytes: PIECE }));
  return { ...held, hub, house: await createHouse({ chain: [hub], disk: held.disk }) };
}

/** A fill that has run for so long when its first byte comes that an fsync is due with the first record. It waits after `bytes`. */
async function slowHouse(bytes: number) {
  const [first, end] = [gate(), gate()];
  const hold = { after: bytes, until: end.opened };
  const hub = createScriptedPort('hub', async () => {
    await first.opened;
    return { bytes: blob.bytes, chunkBytes: PIECE, hold };
  });
  const held = createHeldDisk();
  const ours = await createHouse({ chain: [hub], disk: held.disk });
  const begin = async () => {
    const pull = ours.blob('a/b', blob.digest).then(bytesOf);
    await settle();
    await ours.clock.advance(SYNC_MS);
    first.open();
    return { pull };
  };
  return { ...held, end, house: ours, begin };
}

describe('how a fill writes', () => {
  test('[promise 7] while the disk takes nothing, no more is taken from the upstream', async () => {
    const { hold, goOn, hub, house: ours } = await house();
    hold('write');
    const pull = ours.blob('a/b', blob.digest).then(bytesOf);
    await settle(400);
    expect(hub.sent()).toBe(PIECE);
    goOn();
    expect(sha256(await pull)).toBe(blob.digest);
  });

  test('[promise 6] what is recorded as durable was written before its fsync began', async () => {
    const { hold, goOn, begin, end, house: ours } = await slowHouse(90 * PIECE);
    hold('sync');
    const { pull } = await begin();
    await settle(400);
    expect(ours.fills.running()[0]!.written).toBe(90 * PIECE);
    goOn();
    await settle();
    const { synced } = (await ours.records.part(BLOB))!;
    expect(synced).toBeGreaterThanOrEqual(RECORD_FIRST_BYTES);
    expect(synced).toBeLessThan(90 * PIECE);
    end.open();
    expect(sha256(await pull)).toBe(blob.digest);
  });

  test('[promise 6] what came while the fsync ran is recorded with it, as written and no more', async () => {
    const after = 136 * PIECE;
    const { hold, goOn, begin, end, house: ours } = await slowHouse(after);
    hold('sync');
    const { pull } = await begin();
    await settle(500);
    goOn();
    await settle(50);
    const { synced, prefix } = (await ours.records.part(BLOB))!;
    expect(synced).toBeLessThan(after);
    expect(prefix).toEqual({ bytes: after, digest: sha256(blob.bytes.subarray(0, after)) });
    end.open();
    expect(sha256(await pull)).toBe(blob.digest);
  });

  test('[promise 6] what came while the record was made has its own, of what is written by then', async () => {
    const after = 136 * PIECE;
    const [made, more] = [gate(), gate()];
    const hub = createScriptedPort('hub', () => ({
      bytes: blob.bytes,
      chunkBytes: PIECE,
      hold: { after, until: more.opened },
    }));
    const metadata = createMemoryMetadata();
    const { disk, hold, goOn } = createHeldDisk();
    const ours = await createHouse({ chain: [hub], metadata, disk });
    metadata.beforeCommit(() => ((ours.fills.running()[0]?.written ?? 0) < RECORD_FIRST_BYTES ? undefined : made.opened));
    const pull = ours.blob('a/b', blob.digest).then(bytesOf);
    await settle(500);
    expect(await ours.records.part(BLOB)).toBeUndefined();
    hold('write');
    more.open();
    await settle(50);
    expect(hub.sent()).toBe(after + PIECE);
    made.open();
    await settle(50);
    const prefix = { bytes: after, digest: sha256(blob.bytes.subarray(0, after)) };
    expect(await ours.records.part(BLOB)).toMatchObject({ prefix });
    goOn();
    expect(sha256(await pull)).toBe(blob.digest);
  });

  test('[promise 6] a fsync that fails behind the last byte: the readers are served, and nothing is published', async () => {
    const { hold, goOn, disk, begin, end, house: ours } = await slowHouse(0);
    hold('sync');
    const lift = disk.fail({ on: 'sync', when: ({ path }) => path.includes('/parts/'), nth: 1, as: 'EIO' });
    end.open();
    const { pull } = await begin();
    expect(sha256(await pull)).toBe(blob.digest);
    goOn();
    await settle(100);
    lift();
    expect(ours.fills.running()).toEqual([]);
    expect(await ours.blobs.look(blob.digest)).toBeUndefined();
    const told = ours.events.filter((event) => event.kind === 'bypass');
    expect(told.map(({ error }) => (error as NodeJS.ErrnoException).code)).toEqual(['EIO']);
    await ours.blobs.close();
    expect(disk.openFiles()).toEqual([]);
  });

  test('a fsync that fails in the middle is what is told, and not the write that finds the part gone', async () => {
    const { disk, begin, end, house: ours } = await slowHouse(0);
    disk.fail({ on: 'sync', when: ({ path }) => path.includes('/parts/'), nth: 1, as: 'EIO' });
    end.open();
    const { pull } = await begin();
    expect(sha256(await pull)).toBe(blob.digest);
    await settle(100);
    const told = ours.events.filter((event) => event.kind === 'bypass');
    expect(told.map(({ error }) => (error as NodeJS.ErrnoException).code)).toEqual(['EIO']);
  });
});
