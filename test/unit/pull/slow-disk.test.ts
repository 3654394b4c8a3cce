import { describe, expect, test } from 'vitest';
import { PATIENCE_MS } from '../../../src/blobs/patience.ts';
import { SYNC_MS } from '../../../src/pull/fill/writer.ts';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { createHeldDisk } from './held-disk.ts';
import { bytesOf, createHouse, gate, settle, sha256, type House } from './house.ts';

const blobs = [randomBlob(9_000_000, 1), randomBlob(90_000, 2), randomBlob(6_000_000, 3)];
const image = buildImage({ layers: [300] });

function registry(): ScriptedPort {
  return createScriptedPort('hub', ({ kind, reference }) => {
    if (kind === 'manifest' && reference === '3')
      return { bytes: image.top.bytes, mediaType: image.top.mediaType, digest: image.top.digest, anonymous: true };
    const blob = blobs.find(({ digest }) => digest === reference);
    return blob === undefined ? ABSENT : { bytes: blob.bytes, anonymous: true };
  });
}

/** What comes when so much time has passed; `waits` where nothing has. */
async function after<T>(house: House, ms: number, work: Promise<T>): Promise<T | 'waits'> {
  const work2 = work.catch((error: unknown) => Promise.reject(error as Error));
  work2.catch(() => undefined);
  for (let step = 0; step < 10; step += 1) {
    await settle(60);
    await house.clock.advance(ms / 10);
  }
  return Promise.race([work2, settle(60).then(() => 'waits' as const)]);
}

describe('[R38] a disk that hangs', () => {
  test('every pull is whole within the limit, those after it do not wait, and then it is cached again', async () => {
    const hub = registry();
    const { disk, hold, goOn } = createHeldDisk();
    const house = await createHouse({ chain: [hub], disk, impatient: true });
    const [large, small, other] = blobs.map(({ digest }) => digest);
    hold('write', 'sync');
    const pulls = Promise.all([house.blob('a/b', large!).then(bytesOf), house.blob('a/b', large!).then(bytesOf)]);
    expect(await after(house, PATIENCE_MS / 2, pulls)).toBe('waits');
    const both = await after(house, 0.6 * PATIENCE_MS, pulls);
    if (both === 'waits') throw new Error('they wait for the disk');
    for (const bytes of both) expect(sha256(bytes)).toBe(large);
    expect(house.counted('bypass')).toBeGreaterThan(0);

    // At once, though no fill of theirs has failed.
    for (const digest of [other!, small!, large!]) {
      const reply = await house.blob('a/b', digest);
      expect(String(reply.headers['cache-status'])).toContain('fwd=bypass');
      expect(sha256(await bytesOf(reply))).toBe(digest);
    }
    const manifest = await house.manifest('a/b', '3');
    expect(String(manifest.headers['cache-status'])).toContain('fwd=bypass');

    goOn();
    await settle(60);
    await house.clock.advance(PATIENCE_MS);
    await bytesOf(await house.blob('a/b', other!));
    await settle(60);
    expect(String((await house.blob('a/b', other!)).headers['cache-status'])).toContain('; hit');
    await house.blobs.close();
    expect(disk.openFiles()).toEqual([]);
    expect(await house.blobs.parts()).toEqual([]);
  });

  test('no reader of a fill waits for an fsync, and what was never synced is not kept', async () => {
    const { disk, hold, goOn } = createHeldDisk();
    const { digest, bytes } = blobs[0]!;
    const first = gate();
    const hub = createScriptedPort('hub', () => first.opened.then(() => ({ bytes })));
    const house = await createHouse({ chain: [hub], disk, impatient: true });
    const pull = house.blob('a/b', digest).then(bytesOf);
    await settle();
    await house.clock.advance(SYNC_MS);
    hold('sync');
    first.open();
    // No time passes meanwhile.
    expect(sha256(await pull)).toBe(digest);
    expect(house.counted('bypass')).toBe(0);
    await after(house, 1.5 * PATIENCE_MS, Promise.resolve());
    expect(house.counted('bypass')).toBe(1);
    expect(await house.blobs.open(digest)).toBeUndefined();
    goOn();
    await after(house, 1.5 * PATIENCE_MS, Promise.resolve());
    await house.blobs.close();
    expect(disk.openFiles()).toEqual([]);
    expect(await house.blobs.parts()).toEqual([]);
  });

  test('a manifest is answered without waiting for its file', async () => {
    const { disk, hold, goOn } = createHeldDisk();
    const house = await createHouse({ chain: [registry()], disk, impatient: true });
    hold('sync');
    const asked = house.manifest('a/b', '3');
    const reply = await after(house, PATIENCE_MS, asked);
    if (reply === 'waits') throw new Error('it waits for the disk');
    expect(String(reply.headers['cache-status'])).toContain('fwd=bypass');
    expect(sha256(await bytesOf(reply))).toBe(image.top.digest);
    goOn();
    await settle(60);
    await house.clock.advance(PATIENCE_MS);
    expect(disk.openFiles()).toEqual([]);
  });
});
