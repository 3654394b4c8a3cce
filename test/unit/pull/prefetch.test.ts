import { describe, expect, test } from 'vitest';
import { isOneOf } from '../../../src/pull/platforms.ts';
import type { UpstreamRequest } from '../../../src/upstream/upstream.ts';
import { buildImage, descriptorOf, manifestBlob, MEDIA_TYPE, randomBlob, type Blob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, type Said, type Supply } from '../../fakes/scripted-port.ts';
import { createHouse, gate, settle, type HouseOptions } from './house.ts';

/** An upstream that has these, and says what `said` says of blobs. */
function portOf(held: readonly (Blob & { readonly mediaType?: string })[], said = (supply: Supply): Said => supply) {
  return createScriptedPort('hub', ({ kind, reference }) => {
    const found = held.find(({ digest }) => digest === reference);
    if (found === undefined) return ABSENT;
    const { bytes, digest, mediaType } = found;
    const supply = { bytes, digest, ...(mediaType === undefined ? {} : { mediaType }) };
    return kind === 'blob' ? said(supply) : supply;
  });
}

const { top, layers, config } = buildImage({ layers: [1000, 2000] });
const all = [top, ...layers, config];

async function houseOf(options: HouseOptions) {
  const house = await createHouse({ ...options, policy: { prefetch: true, ...options.policy } });
  return {
    ...house,
    /** Serves the manifest, and lets whatever that begins come to its end. */
    async serve(digest: string): Promise<void> {
      await house.manifest('a/b', digest);
      await house.clock.advance(0);
      await settle(60);
    },
  };
}

const blobsOf = (asked: readonly UpstreamRequest[]): string[] =>
  asked.filter(({ kind }) => kind === 'blob').map(({ method, reference }) => `${method} ${reference}`);

describe('prefetch', () => {
  test('config and layers in the order of the manifest, each with its described size', async () => {
    const hub = portOf(all);
    const house = await houseOf({ chain: [hub] });
    await house.serve(top.digest);
    expect(blobsOf(hub.asked)).toEqual([config, ...layers].map(({ digest }) => `GET ${digest}`));
    for (const { digest } of [config, ...layers]) expect(await house.records.link('docker.io/a/b', digest)).toBeDefined();
  });

  test('[decision 7] a size that contradicts the manifest is refused ahead as it would be for a client', async () => {
    const hub = portOf(all, (supply) => ({ ...supply, bytes: Buffer.concat([supply.bytes, Buffer.from('x')]) }));
    const house = await houseOf({ chain: [hub] });
    await house.serve(top.digest);
    for (const { digest } of [config, ...layers]) expect(await house.records.link('docker.io/a/b', digest)).toBeUndefined();
  });

  test('what failed is not tried again by every client that pulls, but after a minute', async () => {
    const hub = portOf(all, () => ABSENT);
    const house = await houseOf({ chain: [hub] });
    for (let pull = 0; pull < 5; pull += 1) await house.serve(top.digest);
    expect(blobsOf(hub.asked)).toHaveLength(3);
    await house.clock.advance(60_000);
    await house.serve(top.digest);
    expect(blobsOf(hub.asked)).toHaveLength(6);
  });

  test('what a client was just told is not there is not asked for', async () => {
    const hub = portOf([top, ...layers]);
    const house = await houseOf({ chain: [hub] });
    await house.blob('a/b', config.digest).catch(() => undefined);
    await house.serve(top.digest);
    expect(blobsOf(hub.asked)).toEqual([config, ...layers].map(({ digest }) => `GET ${digest}`));
  });

  test('of a manifest with very many layers so many are filled; the rest is left to those who ask', async () => {
    const many = Array.from({ length: 400 }, (_, at) => randomBlob(10 + at, at));
    const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
      config: descriptorOf(config, MEDIA_TYPE.ociConfig),
      layers: many.map((layer) => descriptorOf(layer, MEDIA_TYPE.ociLayer)),
    });
    const hub = portOf([manifest, config, ...many]);
    const house = await houseOf({ chain: [hub] });
    await house.serve(manifest.digest);
    await settle(4000);
    expect(blobsOf(hub.asked)).toHaveLength(256);
  });

  test('[decision 14] nothing where as many fills go on without a reader as may', async () => {
    const { opened, open } = gate();
    const left = Array.from({ length: 8 }, (_, at) => randomBlob(1_000_000, 500 + at));
    const held = new Set<string>(left.map(({ digest }) => digest));
    const hub = portOf([...all, ...left], (supply) =>
      held.has(supply.digest!) ? { ...supply, hold: { after: 500_000, until: opened } } : supply,
    );
    const house = await houseOf({ chain: [hub] });
    const client = new AbortController();
    for (const { digest } of left) await house.blob('a/b', digest, { signal: client.signal });
    client.abort(new Error('gone'));
    await settle(60);
    await house.serve(top.digest);
    expect(house.fills.running()).toHaveLength(8);
    expect([blobsOf(hub.asked).length, house.counted('fill-started')]).toEqual([8, 8]);
    open();
    await house.fills.park();
  });

  test('[decision 13] nothing while the disk is in trouble', async () => {
    const hub = portOf(all);
    const house = await houseOf({ chain: [hub] });
    await house.manifest('c/d', top.digest, { method: 'HEAD' });
    const lift = house.disk.fail({ on: 'write', when: ({ path }) => path.includes('/parts/'), as: 'ENOSPC' });
    await house.blob('c/d', config.digest);
    await settle(60);
    lift();
    const before = hub.asked.length;
    await house.serve(top.digest);
    expect(blobsOf(hub.asked.slice(before))).toEqual([]);
  });

  test.each([
    ['is down', { up: false }],
    ['has half of its concurrency in use', { busy: 0.5 }],
    ['has no pulls left', { budget: 0 }],
  ])('nothing while the upstream %s', async (_what, standing) => {
    const hub = portOf(all);
    const house = await houseOf({ chain: [hub] });
    hub.stand(standing);
    await house.serve(top.digest);
    expect(blobsOf(hub.asked)).toEqual([]);
  });

  test('what nobody reads is parked where a client comes and the upstream has no more to give; what is read is not', async () => {
    const { opened, open } = gate();
    const hub = portOf(all, (supply) => ({ ...supply, hold: { after: 100, until: opened } }));
    const house = await houseOf({ chain: [hub] });
    await house.serve(top.digest);
    expect(house.fills.running()).toHaveLength(3);
    const wanted = house.blob('a/b', layers[0]!.digest);
    await settle(60);
    hub.stand({ busy: 1 });
    house.blob('a/b', randomBlob(77).digest).catch(() => undefined);
    await settle(60);
    expect(house.fills.running().map(({ digest }) => digest)).toEqual([layers[0]!.digest]);
    open();
    await wanted;
    await house.fills.park();
  });

  test('a client that takes the last slot right after it came is seen too', async () => {
    const { opened, open } = gate();
    const hub = portOf(all, (supply) => ({ ...supply, hold: { after: 100, until: opened } }));
    const house = await houseOf({ chain: [hub] });
    await house.serve(top.digest);
    house.blob('a/b', randomBlob(77).digest).catch(() => undefined);
    await settle(60);
    expect(house.fills.running()).toHaveLength(3);
    hub.stand({ busy: 1.5 });
    await house.clock.advance(20);
    await settle(60);
    expect(house.fills.running()).toEqual([]);
    open();
  });

  test('after its end nothing begins', async () => {
    const hub = portOf(all);
    const house = await houseOf({ chain: [hub] });
    house.pulls.prefetch.stop();
    await house.serve(top.digest);
    expect(blobsOf(hub.asked)).toEqual([]);
  });

  test('while the rate limit is below what is reserved, an index is not followed to what costs a pull', async () => {
    const image = buildImage({ platforms: ['linux/amd64', 'linux/arm64'] });
    const hub = portOf([...image.manifests, image.top, ...image.layers, ...image.configs]);
    const limits = { isLow: () => true, isCounted: () => true };
    const house = await houseOf({ chain: [hub], policy: { platforms: ['linux/amd64', 'linux/arm64'], limits } });
    // One child is held: following it costs nothing.
    await house.manifest('a/b', image.manifests[1]!.digest, { method: 'GET' });
    await house.clock.advance(0);
    await settle(60);
    const before = hub.asked.length;
    await house.serve(image.top.digest);
    const after = hub.asked.slice(before).map(({ reference }) => reference);
    expect(after).toEqual([image.top.digest]);
  });
});

describe('platforms', () => {
  test.each([
    ['linux/amd64', ['linux/amd64'], true],
    ['linux/amd64/v3', ['linux/amd64'], true],
    ['linux/amd64', ['linux/amd64/v3'], false],
    ['linux/arm64', ['linux/arm64/v8'], true],
    ['linux/arm64/v8', ['linux/arm64'], true],
    ['linux/arm64/v9', ['linux/arm64/v8'], false],
    ['linux/arm', ['linux/arm/v7'], true],
    ['linux/arm/v6', ['linux/arm/v7'], false],
    ['linux/arm/v6', ['linux/arm'], true],
    ['windows/amd64', ['linux/amd64'], false],
    ['unknown/unknown', ['linux/amd64', 'linux/arm64'], false],
    [undefined, ['linux/amd64'], false],
    ['linux/amd64', [], false],
  ] as const)('%s of %j: %s', (platform, platforms, is) => {
    expect(isOneOf(platforms, platform)).toBe(is);
  });
});
