import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import type { RoutePolicy } from '../../../src/pull/route.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, type ManifestBlob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { ABSENT, createScriptedPort, trouble, type PortScript } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle, sha256, type House } from './house.ts';

const images = ['one', 'two', 'three'].map((label) => buildImage({ label }).top);
const [one, two, three] = images as [ManifestBlob, ManifestBlob, ManifestBlob];
const HOLDER = 'docker.io/a/b';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A registry whose tag points to `current`, and which has all three. */
const registry =
  (current: () => ManifestBlob): PortScript =>
  ({ reference }) => {
    const { bytes, mediaType, digest } = images.find((image) => image.digest === reference) ?? current();
    return { bytes, mediaType, digest };
  };

async function createStage(policy: Partial<RoutePolicy> = {}) {
  let current = one;
  const [disk, metadata, clock] = [createMemoryDisk(), createMemoryMetadata(), createFakeClock(Date.UTC(2026, 10, 1))];
  const hub = createScriptedPort(
    'hub',
    registry(() => current),
  );
  const house = await createHouse({ chain: [hub], disk, metadata, clock, policy });
  return {
    hub,
    house,
    clock,
    metadata,
    disk,
    move: (to: ManifestBlob) => void (current = to),
    /** The same store under another policy. */
    over: (more: Partial<RoutePolicy>) =>
      createHouse({ chain: [hub], disk, metadata, clock, policy: { ...policy, ...more }, process: 1 }),
  };
}

const digestIn = async (reply: Promise<Reply>): Promise<string> => {
  const found = await reply;
  expect(sha256(await bytesOf(found))).toBe(found.headers['docker-content-digest']);
  return sha256(await bytesOf(found));
};

const refusalOf = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => 'answered',
    (error: unknown) => (error instanceof RegistryError ? [error.status, error.code, error.detail] : error),
  );

async function codeOf(asked: Promise<unknown>): Promise<string> {
  const refusal = await refusalOf(asked);
  return Array.isArray(refusal) ? refusal.slice(0, 2).join(' ') : String(refusal);
}

async function tagsOf(house: House, path: string): Promise<unknown> {
  const target = house.parse(path, undefined);
  if (target.kind !== 'tags') throw new Error(target.kind);
  const query = new URLSearchParams(path.split('?')[1] ?? '');
  const reply = await house.lists.tags(target.name, query, { trace: newTrace('1') });
  if (reply.body.kind !== 'bytes') throw new Error(reply.body.kind);
  return JSON.parse(Buffer.from(reply.body.bytes).toString());
}

describe('as of a date', () => {
  async function twoDays() {
    const stage = await createStage();
    await stage.house.manifest('a/b', '3');
    await stage.clock.advance(2 * DAY);
    stage.move(two);
    await stage.house.manifest('a/b', '3');
    await stage.clock.advance(2 * DAY);
    return stage;
  }

  test('a tag is what it was then, in both spellings, and asks nobody while it is held', async () => {
    const { house, hub } = await twoDays();
    const asked = hub.asked.length;
    for (const [date, image] of [
      ['2026-11-01', one],
      ['2026-11-02', one],
      ['2026-11-03T00:00:00Z', two],
      ['2026-11-04', two],
    ] as const)
      for (const path of [`/asof/${date}/v2/a/b/manifests/3`, `/v2/asof/${date}/a/b/manifests/3`]) {
        const reply = await house.ask(path);
        expect(sha256(await bytesOf(reply))).toBe(image.digest);
        expect(reply.headers['cache-status']).toBe('entrepot; hit; detail=asof');
        expect((await house.ask(path, { method: 'HEAD' })).headers['docker-content-digest']).toBe(image.digest);
      }
    expect(hub.asked).toHaveLength(asked);
  });

  test('before its history begins it is 404, and says since when it is known', async () => {
    const { house } = await twoDays();
    expect(await refusalOf(house.ask('/v2/asof/2026-10-31/a/b/manifests/3'))).toEqual([
      404,
      'MANIFEST_UNKNOWN',
      { asof: { at: '2026-10-31', since: '2026-11-01' } },
    ]);
    expect(await refusalOf(house.ask('/v2/asof/2027-01-01/a/b/manifests/3'))).toEqual([
      404,
      'MANIFEST_UNKNOWN',
      { asof: { at: '2027-01-01' } },
    ]);
  });

  test('a tag that nobody asked for yet has a history from then on', async () => {
    const { house, hub, clock } = await createStage();
    await clock.advance(DAY);
    const path = '/v2/asof/2026-11-01/a/b/manifests/3';
    expect(await refusalOf(house.ask(path))).toEqual([
      404,
      'MANIFEST_UNKNOWN',
      { asof: { at: '2026-11-01', since: '2026-11-02' } },
    ]);
    expect([hub.heads().length, hub.gets().length]).toEqual([1, 0]);
    expect(await codeOf(house.ask(path))).toBe('404 MANIFEST_UNKNOWN');
    expect(hub.asked).toHaveLength(1);
    expect(await digestIn(house.ask('/v2/asof/2026-11-02/a/b/manifests/3'))).toBe(one.digest);
  });

  test('one that the upstream does not know is the upstream’s 404', async () => {
    const { house, hub } = await createStage();
    hub.say(() => ABSENT);
    expect(await refusalOf(house.ask('/v2/asof/2026-11-01/a/b/manifests/3'))).toMatchObject([
      404,
      'MANIFEST_UNKNOWN',
      { tried: [{ upstream: 'hub' }] },
    ]);
  });

  test('what is not held any more is fetched by its digest; with the upstream down, what is held is served', async () => {
    const { house, hub, over } = await twoDays();
    expect(await house.blobs.remove(one.digest)).toBe(true);
    house.store.forget(one.digest);
    await house.records.dropLink(HOLDER, one.digest);
    expect(await digestIn(house.ask('/v2/asof/2026-11-01/a/b/manifests/3'))).toBe(one.digest);
    expect(hub.asked.at(-1)?.reference).toBe(one.digest);
    hub.say(() => trouble('hub'));
    expect(await digestIn(house.ask('/v2/asof/2026-11-01/a/b/manifests/3'))).toBe(one.digest);
    const offline = await over({ offline: true });
    expect(await digestIn(offline.ask('/v2/asof/2026-11-01/a/b/manifests/3'))).toBe(one.digest);
  });

  test('a digest, its blobs and its signatures’ tags are as ever', async () => {
    const { house, hub } = await twoDays();
    expect(await digestIn(house.ask(`/v2/asof/2026-10-01/a/b/manifests/${three.digest}`))).toBe(three.digest);
    const tag = `${two.digest.replace(':', '-')}.sig`;
    expect(await digestIn(house.ask(`/v2/asof/2026-10-01/a/b/manifests/${tag}`))).toBe(two.digest);
    expect(hub.asked.at(-1)?.reference).toBe(tag);
  });

  test('a route’s own date is a ceiling', async () => {
    const { over } = await twoDays();
    const pinned = await over({ asof: Date.UTC(2026, 10, 3) - 1 });
    expect(await digestIn(pinned.manifest('a/b', '3'))).toBe(one.digest);
    expect(await digestIn(pinned.ask('/v2/asof/2026-11-04/a/b/manifests/3'))).toBe(one.digest);
    expect(await codeOf(pinned.ask('/v2/asof/2026-10-31/a/b/manifests/3'))).toBe('404 MANIFEST_UNKNOWN');
  });

  test('a tag that was dropped since then is there as of then, and not after it', async () => {
    const { house, hub, clock, over } = await twoDays();
    const dropping = await over({ onDelete: 'drop' });
    hub.say(({ reference, ...rest }, at) => (reference === '3' ? ABSENT : registry(() => two)({ reference, ...rest }, at)));
    expect(await codeOf(dropping.manifest('a/b', '3'))).toBe('404 MANIFEST_UNKNOWN');
    await clock.advance(DAY);
    expect(await digestIn(house.ask('/v2/asof/2026-11-04/a/b/manifests/3'))).toBe(two.digest);
    expect(await refusalOf(house.ask('/v2/asof/2026-11-06/a/b/manifests/3'))).toMatchObject([
      404,
      'MANIFEST_UNKNOWN',
      { asof: { deleted: '2026-11-05' } },
    ]);
  });

  test('a list has the tags of then, in pages', async () => {
    const { house, clock } = await createStage();
    for (const tag of ['1', '10', '1-a', '2']) await house.manifest('a/b', tag);
    await clock.advance(DAY);
    await house.manifest('a/b', '3');
    await clock.advance(DAY);
    const path = '/v2/asof/2026-11-01/a/b/tags/list';
    expect(await tagsOf(house, path)).toEqual({ name: 'asof/2026-11-01/a/b', tags: ['1', '1-a', '10', '2'] });
    expect(await tagsOf(house, `${path}?n=2&last=1`)).toMatchObject({ tags: ['1-a', '10'] });
    expect(await tagsOf(house, '/asof/2026-11-02/v2/a/b/tags/list')).toEqual({
      name: 'a/b',
      tags: ['1', '1-a', '10', '2', '3'],
    });
    expect(await codeOf(tagsOf(house, '/asof/2026-10-02/v2/a/b/tags/list'))).toBe('404 NAME_UNKNOWN');
    expect(await codeOf(tagsOf(house, '/asof/2027-10-02/v2/a/b/tags/list'))).toBe('404 NAME_UNKNOWN');
  });

  test('with the metadata down nobody can tell: 503, and no way round it', async () => {
    const { house, metadata, hub } = await twoDays();
    metadata.setDown(true);
    const asked = hub.asked.length;
    expect(await codeOf(house.ask('/v2/asof/2026-11-01/a/b/manifests/3'))).toBe('503 UNAVAILABLE');
    expect(hub.asked).toHaveLength(asked);
  });
});

describe('cooldown', () => {
  const cooldownMs = 72 * HOUR;

  /** A tag that was looked at before the cooldown was set, and moved an hour ago. */
  async function moved() {
    const stage = await createStage();
    await stage.house.manifest('a/b', '3');
    await stage.clock.advance(cooldownMs);
    stage.move(two);
    await stage.clock.advance(HOUR);
    return { ...stage, house: await stage.over({ cooldownMs }) };
  }

  test('a tag that moved is answered with what stood before, then with what it moved to', async () => {
    const { house, hub, clock } = await moved();
    const before = hub.gets().length;
    for (const method of ['GET', 'HEAD'] as const) {
      const reply = await house.manifest('a/b', '3', { method });
      expect(reply.headers).toMatchObject({
        'docker-content-digest': one.digest,
        'cache-status': 'entrepot; hit; detail=cooldown',
      });
    }
    expect(hub.gets()).toHaveLength(before);
    await clock.advance(cooldownMs - 1);
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
    await clock.advance(1);
    const reply = await house.manifest('a/b', '3');
    expect(sha256(await bytesOf(reply))).toBe(two.digest);
    expect(reply.headers['cache-status']).not.toContain('cooldown');
    expect(await house.records.tag(HOLDER, '3')).toMatchObject({ digest: two.digest });
  });

  test('one that had nothing before is 404 until its end; its digest is a person’s choice', async () => {
    const { house, hub, clock } = await createStage({ cooldownMs });
    const refusal = [404, 'MANIFEST_UNKNOWN', { cooldown: { until: '2026-11-04' } }];
    for (const method of ['GET', 'HEAD', 'GET'] as const)
      expect(await refusalOf(house.manifest('a/b', '3', { method }))).toEqual(refusal);
    expect([hub.heads().length, hub.gets().length]).toEqual([1, 0]);
    expect(await digestIn(house.manifest('a/b', one.digest))).toBe(one.digest);
    expect(await refusalOf(house.manifest('a/b', '3'))).toEqual(refusal);
    await clock.advance(cooldownMs);
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
  });

  test('a refresh looks, and lets nothing through', async () => {
    const { house } = await moved();
    const target = house.parse('/v2/a/b/manifests/3', undefined);
    if (target.kind !== 'manifest') throw new Error(target.kind);
    await house.pulls.refresh({ method: 'GET', target, signal: new AbortController().signal, trace: newTrace('1') });
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
  });

  test('with the upstream down the same holds, stale or not', async () => {
    const { house, hub, clock } = await moved();
    await house.manifest('a/b', '3');
    hub.say(() => trouble('hub'));
    await clock.advance(HOUR);
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
    await clock.advance(cooldownMs);
    // What it moved to was never fetched, and cannot be now: trouble, and not the digest that has had its time.
    expect(await codeOf(house.manifest('a/b', '3'))).toBe('502 UNAVAILABLE');
    hub.say(registry(() => two));
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(two.digest);
  });

  test('with the upstream down and nothing known, it is the upstream’s trouble', async () => {
    const { house, hub } = await createStage({ cooldownMs });
    hub.say(() => trouble('hub'));
    expect(await codeOf(house.manifest('a/b', '3'))).toBe('502 UNAVAILABLE');
  });

  test('offline it holds too', async () => {
    const { house, over } = await moved();
    await house.manifest('a/b', '3');
    const offline = await over({ cooldownMs, offline: true });
    expect(await digestIn(offline.manifest('a/b', '3'))).toBe(one.digest);
    const { house: fresh, over: freshly } = await createStage();
    await fresh.manifest('a/b', '3');
    expect(await codeOf((await freshly({ cooldownMs, offline: true })).manifest('a/b', '3'))).toBe('404 MANIFEST_UNKNOWN');
  });

  test('tags that never move have one, from the first time', async () => {
    const { house } = await createStage({ cooldownMs });
    expect(await codeOf(house.manifest('a/b', 'v1'))).toBe('404 MANIFEST_UNKNOWN');
  });

  test('metadata that are down are no way round it, nor is a disk', async () => {
    const { house, metadata, hub } = await moved();
    metadata.setDown(true);
    expect(await codeOf(house.manifest('a/b', '3'))).toBe('503 UNAVAILABLE');
    expect(hub.gets().map(({ reference }) => reference)).not.toContain(two.digest);
    metadata.setDown(false);
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
  });

  test('nor is a disk that fails: what stood before is passed through', async () => {
    const { house, hub, disk } = await moved();
    const mend = disk.fail({ on: 'open', when: ({ path }) => path.includes('/blobs/'), as: 'EIO' });
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
    expect(hub.gets().at(-1)?.reference).toBe(one.digest);
    mend();
  });

  test('a clock that goes back lets nothing through, and loses nothing', async () => {
    const { house, clock } = await moved();
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
    clock.jump(-10 * DAY);
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(one.digest);
    expect(await codeOf(house.manifest('a/b', 'new'))).toBe('404 MANIFEST_UNKNOWN');
    clock.jump(-DAY);
    expect(await refusalOf(house.manifest('a/b', 'new'))).toMatchObject({ 2: { cooldown: {} } });
  });

  test('as of a moment ago is no way round it', async () => {
    const { house, clock } = await moved();
    await house.manifest('a/b', '3');
    await clock.advance(HOUR);
    const now = new Date(clock.now()).toISOString().replace(/\.\d+/, '');
    expect(await digestIn(house.ask(`/asof/${now}/v2/a/b/manifests/3`))).toBe(one.digest);
  });

  test('what was released is let through at once, and what comes after it is not', async () => {
    const { house, clock, move } = await moved();
    await house.manifest('a/b', '3');
    await house.records.putRelease(HOLDER, '3', { digest: two.digest, at: clock.now() });
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(two.digest);
    move(three);
    await clock.advance(HOUR);
    expect(await digestIn(house.manifest('a/b', '3'))).toBe(two.digest);
  });

  test('a list leaves out what would be refused, and nothing else', async () => {
    const { house, hub } = await moved();
    await refusalOf(house.manifest('a/b', 'new'));
    const answer = JSON.stringify({ name: 'a/b', tags: ['3', 'new', 'never-asked'] });
    hub.say(({ kind }) => (kind === 'tags' ? { bytes: Buffer.from(answer) } : trouble('hub')));
    expect(await tagsOf(house, '/v2/a/b/tags/list')).toMatchObject({ tags: ['3', 'never-asked'] });
    await settle();
  });

  test('prefetch follows what is served', async () => {
    const { over, hub } = await moved();
    const house = await over({ cooldownMs, prefetch: true });
    await digestIn(house.manifest('a/b', '3'));
    await settle(60);
    expect(hub.asked.map(({ reference }) => reference)).not.toContain(two.digest);
  });
});
