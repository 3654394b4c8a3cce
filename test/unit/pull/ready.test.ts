import { describe, expect, test } from 'vitest';
import type { Reply } from '../../../src/pull/reply.ts';
import type { PullTarget } from '../../../src/pull/pull.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { BELIEVED_MS, SMALL_BLOB_BYTES } from '../../../src/pull/small-blobs.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { createScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle, sha256, type House, type HouseOptions } from './house.ts';

const { top } = buildImage({ label: 'one' });
const blob = randomBlob(5000);
const large = randomBlob(SMALL_BLOB_BYTES + 1, 3);
const TTL = 300_000;

const TAG = '/v2/a/b/manifests/3';
const MANIFEST = `/v2/a/b/manifests/${top.digest}`;
const BLOB = `/v2/a/b/blobs/${blob.digest}`;

/** A house that has answered all of it once before. */
async function house(options: Partial<HouseOptions> = {}): Promise<House> {
  const supplies = [
    top,
    { ...blob, mediaType: 'application/octet-stream' },
    { ...large, mediaType: 'application/octet-stream' },
  ];
  const hub = createScriptedPort('hub', ({ reference }) => supplies.find(({ digest }) => digest === reference) ?? top);
  const made = await createHouse({ chain: [hub], ...options });
  for (const path of [TAG, BLOB, BLOB, `/v2/a/b/blobs/${large.digest}`, `/v2/a/b/blobs/${large.digest}`]) {
    await bytesOf(await made.ask(path));
    await settle();
  }
  return made;
}

function ready(
  of: House,
  path: string,
  more: { method?: 'GET' | 'HEAD'; range?: string; ifNoneMatch?: string } = {},
): Reply | undefined {
  const target = of.parse(path, undefined) as PullTarget;
  return of.pulls.ready({ method: 'GET', target, signal: new AbortController().signal, trace: newTrace('1'), ...more });
}

describe('what is answered out of memory, in the same turn', () => {
  test('[decision 10] a tag, a manifest and a small blob: as the ordinary way answers', async () => {
    const made = await house();
    for (const path of [TAG, MANIFEST, BLOB]) {
      for (const method of ['GET', 'HEAD'] as const) {
        const { status, headers, body } = ready(made, path, { method })!;
        const ordinary = await made.pulls.pull({
          method,
          target: made.parse(path, undefined) as PullTarget,
          signal: new AbortController().signal,
          trace: newTrace('1'),
        });
        expect([status, headers]).toEqual([200, ordinary.headers]);
        expect(body.kind).toBe(method === 'HEAD' ? 'none' : 'bytes');
      }
      expect(sha256(await bytesOf(ready(made, path)!))).toBe(path === BLOB ? blob.digest : top.digest);
    }
  });

  test('notes what log, metrics and eviction want to know', async () => {
    const made = await house();
    await made.clock.advance(2000);
    const trace = newTrace('1');
    made.pulls.ready({
      method: 'GET',
      target: made.parse(TAG, undefined) as PullTarget,
      signal: new AbortController().signal,
      trace,
    });
    expect(trace).toMatchObject({
      registry: 'docker.io',
      repository: 'a/b',
      reference: '3',
      digest: top.digest,
      type: 'manifest',
      route: 'all',
      outcome: 'hit',
      size: top.bytes.length,
      ageSeconds: 2,
    });
    expect(await made.records.lastUse(top.digest)).toBe(made.clock.now());
  });

  test('[promise 9] nothing that the repository is not known to hold, and nothing of another kind', async () => {
    const made = await house();
    for (const path of [`/v2/a/other/manifests/3`, `/v2/a/other/manifests/${top.digest}`, `/v2/a/other/blobs/${blob.digest}`])
      expect(ready(made, path)).toBeUndefined();
    expect(ready(made, `/v2/a/b/manifests/${blob.digest}`)).toBeUndefined();
    expect(ready(made, '/v2/evil/x/manifests/3')).toBeUndefined();
  });

  test('nothing that was deleted, at once', async () => {
    const made = await house();
    await made.records.dropTag('docker.io/a/b', '3');
    await made.records.dropLink('docker.io/a/b', top.digest);
    await made.records.dropLink('docker.io/a/b', blob.digest);
    for (const path of [TAG, MANIFEST, BLOB]) expect(ready(made, path)).toBeUndefined();
  });

  test('no tag whose time is over, nor one that is gone upstream, or was pushed', async () => {
    const made = await house();
    const record = (await made.records.tag('docker.io/a/b', '3'))!;
    await made.clock.advance(TTL - 1);
    expect(ready(made, TAG)?.headers['cache-status']).toBe('entrepot; hit; ttl=0');
    await made.clock.advance(1);
    expect(ready(made, TAG)).toBeUndefined();
    const checked = made.clock.now();
    await made.records.putTag('docker.io/a/b', '3', { ...record, checked });
    expect(ready(made, TAG)).toBeDefined();
    for (const wrong of [{ gone: checked }, { upstream: 'hosted' }, { needed: 'account' }] as const) {
      await made.records.putTag('docker.io/a/b', '3', { ...record, checked, ...wrong });
      expect(ready(made, TAG)).toBeUndefined();
    }
  });

  test('what an account unlocked only where it still does', async () => {
    const made = await house();
    const { deps } = made;
    for (const [digest, path] of [
      [top.digest, MANIFEST],
      [blob.digest, BLOB],
    ] as const) {
      const link = (await made.records.link('docker.io/a/b', digest))!;
      expect(ready(made, path)).toBeDefined();
      await made.records.putLink('docker.io/a/b', digest, { ...link, needed: 'account' });
      expect(ready(made, path)).toBeUndefined();
      await made.records.putLink('docker.io/a/b', digest, { ...link, size: link.size + 1 });
      expect(ready(made, path)).toBeUndefined();
    }
    expect(deps.ready).toBeDefined();
  });

  test.each([
    ['nothing special', {}],
    ['offline', { policy: { offline: true } }],
    ['prefetch', { policy: { prefetch: true } }],
    ['cooldown', { policy: { cooldownMs: 1 } }],
    ['asof', { policy: { asof: 1e12 } }],
    ['hosted', { route: { hosted: true } }],
  ] as const)('not on a route with %s', async (name, { policy = {}, route = {} }: Partial<HouseOptions>) => {
    const made = await house();
    const other = await createHouse({
      chain: [],
      disk: made.disk,
      metadata: made.metadata,
      clock: made.clock,
      process: 1,
      policy,
      route,
    });
    await other.store.read(top.digest, top.bytes.length);
    other.deps.smallBlobs.learn(blob.digest, 5000);
    await other.records.ping();
    await settle();
    for (const path of [TAG, MANIFEST, BLOB]) expect(ready(other, path) === undefined).toBe(name !== 'nothing special');
  });

  test('not to who wants a part, or something else than it has', async () => {
    const made = await house();
    for (const path of [TAG, BLOB]) {
      expect(ready(made, path, { range: 'bytes=0-1' })).toBeUndefined();
      expect(ready(made, path, { ifNoneMatch: '"x"' })).toBeUndefined();
    }
    expect(ready(made, `/v2/asof/2020-01-01/a/b/manifests/3`)).toBeUndefined();
  });

  test('not while the metadata cannot be asked, nor where they answer later', async () => {
    const made = await house();
    made.metadata.setDown(true);
    for (const path of [TAG, MANIFEST, BLOB]) expect(ready(made, path)).toBeUndefined();
    made.metadata.setDown(false);
    expect(ready(made, TAG)).toBeDefined();
    const late = await house({ metadata: createMemoryMetadata({ async: true }) });
    for (const path of [TAG, MANIFEST, BLOB]) expect(ready(late, path)).toBeUndefined();
    late.metadata.setDown(true);
    for (const path of [TAG, MANIFEST, BLOB]) expect(ready(late, path)).toBeUndefined();
    await settle();
  });

  test('a small blob that is in use for as long as its file is there, and a minute after', async () => {
    const made = await house();
    const uses = async (times: number): Promise<number> => {
      let answered = 0;
      for (let time = 0; time < times; time += 1) {
        await made.clock.advance(BELIEVED_MS / 6);
        if (ready(made, BLOB) !== undefined) answered += 1;
        await settle();
      }
      return answered;
    };
    expect(await uses(30)).toBe(30);
    await made.blobs.remove(blob.digest);
    expect(await uses(12)).toBeLessThan(6);
    expect(ready(made, BLOB)).toBeUndefined();
  });

  test('a small blob for a minute, until its file is looked at again; a large one never', async () => {
    const made = await house();
    expect(ready(made, `/v2/a/b/blobs/${large.digest}`)).toBeUndefined();
    await made.clock.advance(BELIEVED_MS / 2 - 1);
    expect(ready(made, BLOB)).toBeDefined();
    await made.clock.advance(BELIEVED_MS / 2 + 1);
    expect(ready(made, BLOB)).toBeUndefined();
    await made.blobs.remove(blob.digest);
    expect((await made.ask(BLOB)).headers['cache-status']).toContain('fwd=miss');
  });

  test('nothing that was forgotten, also while it is being read', async () => {
    const made = await house();
    made.deps.smallBlobs.forget(blob.digest);
    expect(ready(made, BLOB)).toBeUndefined();
    made.deps.smallBlobs.learn(blob.digest, 5000);
    made.deps.smallBlobs.forget(blob.digest);
    await settle();
    expect(ready(made, BLOB)).toBeUndefined();
  });
});
