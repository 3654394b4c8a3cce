import { describe, expect, test } from 'vitest';
import { createLimits } from '../../../src/pull/limits.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { buildImage, type ManifestBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, type ScriptedPort, type Supply } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, sha256 } from './house.ts';

const one = buildImage({ label: 'one' }).top;
const two = buildImage({ label: 'two' }).top;
const three = buildImage({ label: 'three' }).top;
const TTL = 300_000;

function supply({ bytes, mediaType, digest }: ManifestBlob): Supply {
  return { bytes, mediaType, digest };
}

function port(name: string, budget?: number): ScriptedPort {
  const made = createScriptedPort(name, () => supply(one));
  made.stand({ budget });
  return made;
}

describe('the limits of a chain', () => {
  test.each<[string, readonly (number | undefined)[], number, boolean]>([
    ['one has fewer left than is kept', [4], 5, true],
    ['one has just as many', [5], 5, false],
    ['one of two has enough', [0, 5], 5, false],
    ['all have fewer', [0, 4], 5, true],
    ['one says nothing and the other has fewer', [undefined, 4], 5, true],
    ['nobody says anything', [undefined, undefined], 5, false],
    ['nothing is kept', [0], 0, false],
    ['there is no chain', [], 5, false],
  ])('%s', (_title, budgets, reserve, expected) => {
    const limits = createLimits(
      budgets.map((budget, at) => port(String(at), budget)),
      reserve,
    );
    expect(limits.isLow('docker.io')).toBe(expected);
    expect(limits.isCounted('docker.io')).toBe(budgets.some((budget) => budget !== undefined));
  });
});

describe('what is left of a rate limit is kept for what is not held', () => {
  async function low(policy = {}) {
    const hub = port('hub', 100);
    const house = await createHouse({ chain: [hub], reserve: 5, policy });
    await house.manifest('a/b', '3');
    hub.say(() => supply(two));
    hub.stand({ budget: 4 });
    return { hub, house };
  }

  test('a held tag past its ttl is served without asking, and says so; above the reserve it is asked again', async () => {
    const { hub, house } = await low();
    await house.clock.advance(TTL + 60_000);
    for (const method of ['GET', 'HEAD'] as const) {
      const trace = newTrace('1');
      const reply = await house.manifest('a/b', '3', { method, trace });
      expect(reply.headers['docker-content-digest']).toBe(one.digest);
      expect(reply.headers['cache-status']).toBe('entrepot; hit; ttl=-60; detail=stale');
      expect(reply.headers['warning']).toContain('rate limit');
      expect(trace.outcome).toBe('stale');
    }
    expect(hub.asked).toHaveLength(1);
    hub.stand({ budget: 5 });
    expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(two.digest);
    expect(hub.asked).toHaveLength(3);
  });

  test('a miss still goes out, and so does what is held no more', async () => {
    const { hub, house } = await low();
    expect(sha256(await bytesOf(await house.manifest('a/b', '4')))).toBe(two.digest);
    const { clock, disk, metadata } = house;
    await clock.advance(TTL);
    await house.blobs.remove(one.digest);
    const restarted = await createHouse({ chain: [hub], reserve: 5, clock, disk, metadata });
    hub.say(() => supply(three));
    expect(sha256(await bytesOf(await restarted.manifest('a/b', '3')))).toBe(three.digest);
    expect(hub.gets()).toHaveLength(3);
  });

  test('what may not be served stale any more is asked for', async () => {
    const { hub, house } = await low({ staleMs: 1000 });
    await house.clock.advance(TTL + 999);
    expect((await house.manifest('a/b', '3')).headers['docker-content-digest']).toBe(one.digest);
    await house.clock.advance(1);
    expect((await house.manifest('a/b', '3')).headers['docker-content-digest']).toBe(two.digest);
    expect(hub.gets()).toHaveLength(2);
  });

  test('an administrator’s refresh asks all the same', async () => {
    const { hub, house } = await low();
    const target = house.parse('/v2/a/b/manifests/3', undefined);
    if (target.kind !== 'manifest') throw new Error('no manifest');
    const answer = await house.pulls.refresh({
      method: 'GET',
      target,
      signal: new AbortController().signal,
      trace: newTrace('1'),
    });
    expect(answer.digest).toBe(two.digest);
    expect(hub.heads()).toHaveLength(1);
  });
});

describe('what costs least where pulls are counted', () => {
  test('the first tag of a repository is one GET', async () => {
    const hub = port('hub', 100);
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', '3');
    expect([hub.heads().length, hub.gets().length]).toEqual([0, 1]);
  });

  test('another tag of the same manifest is a HEAD, which is free', async () => {
    const hub = port('hub', 100);
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', '3');
    const reply = await house.manifest('a/b', '3.20');
    expect(sha256(await bytesOf(reply))).toBe(one.digest);
    expect(reply.headers['cache-status']).toBe('entrepot; fwd=stale; fwd-status=200; detail=hub');
    expect((await house.manifest('a/b', '3.20')).headers['cache-status']).toBe('entrepot; hit; ttl=300');
    expect([hub.heads().length, hub.gets().length]).toEqual([1, 1]);
  });

  test('a tag of something else is a HEAD and one GET, and a tag that is not there no GET', async () => {
    const hub = port('hub', 100);
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', '3');
    hub.say(({ reference }) => (reference === '4' ? supply(two) : ABSENT));
    expect(sha256(await bytesOf(await house.manifest('a/b', '4')))).toBe(two.digest);
    await expect(house.manifest('a/b', '5')).rejects.toMatchObject({ status: 404 });
    await expect(house.manifest('a/b', '5')).rejects.toMatchObject({ status: 404 });
    expect([hub.heads().length, hub.gets().length]).toEqual([2, 2]);
  });

  test('a manifest of another repository shows nothing here', async () => {
    const hub = port('hub', 100);
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', '3');
    await house.manifest('a/c', '3');
    expect(hub.gets()).toHaveLength(2);
  });

  test('where nobody counts, a GET at once is faster', async () => {
    const hub = port('hub');
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', '3');
    await house.manifest('a/b', '3.20');
    expect([hub.heads().length, hub.gets().length]).toEqual([0, 2]);
  });
});
