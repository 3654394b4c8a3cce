import { describe, expect, test } from 'vitest';
import { SYNC_FIRST_BYTES } from '../../../src/pull/fill/writer.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { createHeldDisk } from './held-disk.ts';
import { bytesOf, createHouse, gate, settle, sha256 } from './house.ts';

const PIECE = 64 * 1024;
const blob = randomBlob(9_000_000, 1);

async function house() {
  const held = createHeldDisk();
  const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes, chunkBytes: PIECE }));
  return { ...held, hub, house: await createHouse({ chain: [hub], disk: held.disk }) };
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
    const held = createHeldDisk();
    const end = gate();
    const bytes = blob.bytes;
    const hub = createScriptedPort('hub', () => ({ bytes, chunkBytes: PIECE, hold: { after: 90 * PIECE, until: end.opened } }));
    const ours = await createHouse({ chain: [hub], disk: held.disk });
    held.hold('sync');
    const pull = ours.blob('a/b', blob.digest).then(bytesOf);
    await settle(400);
    expect(ours.fills.running()[0]!.written).toBe(90 * PIECE);
    held.goOn();
    await settle();
    const { synced } = (await ours.records.part({ registry: 'docker.io', digest: blob.digest }))!;
    expect(synced).toBeGreaterThanOrEqual(SYNC_FIRST_BYTES);
    expect(synced).toBeLessThan(90 * PIECE);
    end.open();
    expect(sha256(await pull)).toBe(blob.digest);
  });

  test('[promise 6] what came while the fsync ran has its own behind it, though nothing more comes', async () => {
    const held = createHeldDisk();
    const end = gate();
    const after = 130 * PIECE;
    const hub = createScriptedPort('hub', () => ({ bytes: blob.bytes, chunkBytes: PIECE, hold: { after, until: end.opened } }));
    const ours = await createHouse({ chain: [hub], disk: held.disk });
    held.hold('sync');
    const pull = ours.blob('a/b', blob.digest).then(bytesOf);
    await settle(500);
    held.goOn();
    await settle(50);
    expect(await ours.records.part({ registry: 'docker.io', digest: blob.digest })).toMatchObject({ synced: after });
    end.open();
    expect(sha256(await pull)).toBe(blob.digest);
  });

  test('[promise 6] a fsync that fails behind the last byte: the readers are served, and nothing is published', async () => {
    const { hold, goOn, disk, house: ours } = await house();
    hold('sync');
    const lift = disk.fail({ on: 'sync', when: ({ path }) => path.includes('/parts/'), nth: 1, as: 'EIO' });
    expect(sha256(await bytesOf(await ours.blob('a/b', blob.digest)))).toBe(blob.digest);
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
    const { disk, house: ours } = await house();
    disk.fail({ on: 'sync', when: ({ path }) => path.includes('/parts/'), nth: 1, as: 'EIO' });
    expect(sha256(await bytesOf(await ours.blob('a/b', blob.digest)))).toBe(blob.digest);
    await settle(100);
    const told = ours.events.filter((event) => event.kind === 'bypass');
    expect(told.map(({ error }) => (error as NodeJS.ErrnoException).code)).toEqual(['EIO']);
  });
});
