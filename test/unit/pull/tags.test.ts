import { describe, expect, test } from 'vitest';
import { newTrace } from '../../../src/pull/trace.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { buildImage, randomBlob, type ManifestBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, trouble, type Said, type Supply } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle, sha256 } from './house.ts';

const one = buildImage({ label: 'one' }).top;
const two = buildImage({ label: 'two' }).top;
const TTL = 300_000;

function supply({ bytes, mediaType, digest }: ManifestBlob): Supply {
  return { bytes, mediaType, digest };
}

/** A house whose tag was pulled once. */
async function pulled(said: () => Said | Promise<Said>, policy = {}) {
  let current: () => Said | Promise<Said> = () => supply(one);
  const hub = createScriptedPort('hub', () => current());
  const house = await createHouse({ chain: [hub], policy });
  await house.manifest('a/b', '3');
  current = said;
  return { hub, house, say: (next: () => Said | Promise<Said>) => void (current = next) };
}

describe('a tag and its age', () => {
  test('[R20] within its ttl nobody is asked; after it one HEAD confirms', async () => {
    const { hub, house } = await pulled(() => supply(one));
    await house.clock.advance(TTL - 1);
    for (let pull = 0; pull < 20; pull += 1) {
      expect((await house.manifest('a/b', '3')).headers['cache-status']).toBe('entrepot; hit; ttl=0');
    }
    expect(hub.asked).toHaveLength(1);
    await house.clock.advance(1);
    const replies = await Promise.all(Array.from({ length: 50 }, () => house.manifest('a/b', '3')));
    expect(new Set(replies.map(({ headers }) => headers['cache-status']))).toEqual(
      new Set(['entrepot; fwd=stale; fwd-status=200; detail=hub']),
    );
    expect([hub.heads().length, hub.gets().length]).toEqual([1, 1]);
  });

  test('[P41] a tag that moved serves the new digest; the old one is still served by its digest', async () => {
    const { hub, house } = await pulled(() => supply(two));
    await house.clock.advance(TTL);
    expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(two.digest);
    const asked = hub.asked.length;
    expect(sha256(await bytesOf(await house.manifest('a/b', one.digest)))).toBe(one.digest);
    expect(hub.asked).toHaveLength(asked);
    expect(house.events).toContainEqual({
      kind: 'tag-moved',
      repository: 'docker.io/a/b',
      tag: '3',
      from: one.digest,
      to: two.digest,
    });
    expect((await house.records.tagHistory('docker.io/a/b', '3', 9)).map(({ digest }) => digest)).toEqual([
      two.digest,
      one.digest,
    ]);
  });

  test('[P42] fifty at once cost one GET; each knows who answered', async () => {
    const hub = createScriptedPort('hub', (_, at) => (at === 0 ? supply(one) : trouble('hub')));
    const house = await createHouse({ chain: [hub] });
    const traces = Array.from({ length: 50 }, (_, at) => newTrace(String(at)));
    const replies = await Promise.all(traces.map((trace) => house.manifest('a/b', '3', { trace })));
    expect(hub.asked).toHaveLength(1);
    expect(replies.filter(({ headers }) => headers['cache-status'] === 'entrepot; fwd=miss; collapsed')).toHaveLength(49);
    expect(traces.filter(({ outcome }) => outcome === 'collapsed')).toHaveLength(49);
  });

  test('[P21] HEAD asks by HEAD, and not again within the ttl; the GET that follows is one GET', async () => {
    const hub = createScriptedPort('hub', () => supply(one));
    const house = await createHouse({ chain: [hub] });
    const head = await house.manifest('a/b', '3', { method: 'HEAD' });
    expect(head.headers).toMatchObject({ 'docker-content-digest': one.digest, 'content-length': String(one.size) });
    expect(head.body.kind).toBe('none');
    await house.manifest('a/b', '3', { method: 'HEAD' });
    expect([hub.heads().length, hub.gets().length]).toEqual([1, 0]);
    await house.manifest('a/b', '3');
    expect([hub.heads().length, hub.gets().length]).toEqual([1, 1]);
  });

  test('[S13] what a HEAD says is no record: a tag points only to what is held', async () => {
    const { hub, house, say } = await pulled(() => supply(two));
    await house.clock.advance(TTL);
    expect((await house.manifest('a/b', '3', { method: 'HEAD' })).headers['docker-content-digest']).toBe(two.digest);
    expect((await house.records.tag('docker.io/a/b', '3'))!.digest).toBe(one.digest);
    say(() => trouble('hub'));
    const reply = await house.manifest('a/b', '3');
    expect([sha256(await bytesOf(reply)), reply.headers['cache-status']]).toEqual([
      one.digest,
      'entrepot; hit; ttl=0; detail=stale',
    ]);
    expect(hub.heads()).toHaveLength(1);
  });

  test('[P30] a HEAD without a digest is followed by a GET', async () => {
    const hub = createScriptedPort('hub', ({ method }) =>
      method === 'HEAD' ? { bytes: one.bytes, mediaType: one.mediaType } : supply(one),
    );
    const house = await createHouse({ chain: [hub] });
    expect((await house.manifest('a/b', '3', { method: 'HEAD' })).headers['docker-content-digest']).toBe(one.digest);
    expect(hub.gets()).toHaveLength(1);
  });

  test('[R20] an immutable tag is asked for once', async () => {
    const hub = createScriptedPort('hub', () => supply(one));
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', 'v1');
    await house.clock.advance(100 * TTL);
    await house.manifest('a/b', 'v1');
    expect(hub.asked).toHaveLength(1);
  });

  test('[R34] a clock that was wrong pins no tag, and drops none', async () => {
    for (const jump of [-3_600_000, 3_600_000, 10 * 365 * 24 * 3_600_000]) {
      const clock = createFakeClock();
      const hub = createScriptedPort('hub', () => supply(one));
      const house = await createHouse({ chain: [hub], clock, policy: { staleMs: Infinity } });
      clock.jump(jump);
      await house.manifest('a/b', '3');
      clock.jump(-jump);
      hub.say(() => supply(two));
      await clock.advance(jump > 0 ? 0 : TTL);
      expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(two.digest);
      const asked = hub.asked.length;
      await house.manifest('a/b', '3');
      expect(hub.asked).toHaveLength(asked);
      clock.jump(jump);
      hub.say(() => trouble('hub'));
      await clock.advance(TTL);
      expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(two.digest);
      clock.jump(-jump);
      hub.say(() => supply(one));
      await clock.advance(10_000);
      expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(one.digest);
    }
  });
});

describe('when the chain fails', () => {
  for (const [what, said] of [
    ['[P38] unreachable', trouble('hub')],
    ['[P36] limited', { kind: 'limited', retryAfterSeconds: 7 }],
  ] as const) {
    test(`${what}: what is held is served stale, and one question is asked in each window`, async () => {
      const { hub, house, say } = await pulled(() => said);
      await house.clock.advance(TTL);
      for (let pull = 0; pull < 5; pull += 1) {
        const reply = await house.manifest('a/b', '3');
        expect(reply.headers['cache-status']).toMatch(/^entrepot; hit; ttl=-?\d+; detail=stale$/);
        expect(reply.headers['warning']).toMatch(/^299 entrepot "stale/);
        expect(sha256(await bytesOf(reply))).toBe(one.digest);
      }
      expect(hub.heads()).toHaveLength(1);
      await house.clock.advance(10_000);
      await house.manifest('a/b', '3');
      expect(hub.heads()).toHaveLength(2);
      say(() => supply(two));
      await house.clock.advance(10_000);
      expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(two.digest);
    });
  }

  test('[P38] who hangs costs five seconds at most; the question goes on, and its answer counts', async () => {
    let answer: (said: Said) => void = () => undefined;
    const { house } = await pulled(() => new Promise<Said>((resolve) => (answer = resolve)));
    await house.clock.advance(TTL);
    const asked = house.manifest('a/b', '3');
    await settle();
    await house.clock.advance(4_999);
    expect((await asked).headers['cache-status']).toBe('entrepot; hit; ttl=-4; detail=stale');
    answer(supply(one));
    await settle();
    expect((await house.manifest('a/b', '3')).headers['cache-status']).toBe('entrepot; hit; ttl=295');
  });

  test('[promise 4] a slow GET after a quick HEAD does not make anybody wait longer', async () => {
    const hub = createScriptedPort('hub', ({ method }, at) =>
      at === 0 ? supply(one) : method === 'HEAD' ? supply(two) : 'hang',
    );
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', '3');
    await house.clock.advance(TTL);
    const asked = house.manifest('a/b', '3');
    await settle();
    await house.clock.advance(4_999);
    expect(sha256(await bytesOf(await asked))).toBe(one.digest);
    await house.clock.advance(60_000);
    await settle();
  });

  test('[R22] beyond `stale` it is not served any more', async () => {
    const { house } = await pulled(() => trouble('hub', { timeout: true }), { staleMs: 60_000 });
    await house.clock.advance(TTL + 59_999);
    await house.manifest('a/b', '3');
    await house.clock.advance(10_000);
    await expect(house.manifest('a/b', '3')).rejects.toMatchObject({ status: 504, code: 'UNAVAILABLE' });
  });

  test('a record that cannot be written costs no stale answer', async () => {
    const { house } = await pulled(() => trouble('hub'));
    await house.clock.advance(TTL);
    house.metadata.beforeCommit(() => {
      throw new Error('read-only');
    });
    expect((await house.manifest('a/b', '3')).headers['cache-status']).toMatch(/detail=stale/);
  });

  test('[R21] a held tag that is gone upstream is kept, with a warning, and asked again after its ttl', async () => {
    const { hub, house } = await pulled(() => ABSENT);
    await house.clock.advance(TTL);
    for (let pull = 0; pull < 3; pull += 1) {
      const reply = await house.manifest('a/b', '3');
      expect(reply.headers['warning']).toBe('299 entrepot "the tag is gone upstream"');
      expect(sha256(await bytesOf(reply))).toBe(one.digest);
    }
    expect(hub.heads()).toHaveLength(1);
    await house.clock.advance(TTL);
    await house.manifest('a/b', '3');
    expect(hub.heads()).toHaveLength(2);
  });

  test('a refusal that our credentials met is no reason to serve what is held', async () => {
    const { house } = await pulled(() => ({ kind: 'denied' }));
    await house.clock.advance(TTL);
    await expect(house.manifest('a/b', '3')).rejects.toMatchObject({ status: 403, code: 'DENIED' });
  });
});

describe('absence', () => {
  test('[R26] [P47] [P84] is remembered for the negative ttl, of tags, manifests and blobs, each for itself', async () => {
    const hub = createScriptedPort('hub', () => ABSENT);
    const house = await createHouse({ chain: [hub] });
    for (let round = 0; round < 3; round += 1) {
      await expect(house.manifest('a/b', '3')).rejects.toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
      await expect(house.blob('a/b', one.digest)).rejects.toMatchObject({ status: 404, code: 'BLOB_UNKNOWN' });
    }
    expect(hub.asked).toHaveLength(2);
    // What is no blob may be a manifest all the same.
    hub.say(({ kind }) => (kind === 'manifest' ? supply(one) : ABSENT));
    expect(sha256(await bytesOf(await house.manifest('a/b', one.digest)))).toBe(one.digest);
    await expect(house.manifest('a/b', '3')).rejects.toMatchObject({
      status: 404,
      headers: { 'cache-status': 'entrepot; hit; detail=negative' },
    });
    await house.clock.advance(30_000);
    expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(one.digest);
  });

  for (const [what, said, status] of [
    ['429', { kind: 'limited', retryAfterSeconds: 3 }, 429],
    ['a refusal', { kind: 'denied' }, 403],
    ['trouble', trouble('hub'), 502],
  ] as const) {
    test(`[R26] ${what} is never remembered as absence`, async () => {
      const hub = createScriptedPort('hub', () => said);
      const house = await createHouse({ chain: [hub] });
      for (const method of ['GET', 'HEAD'] as const) {
        await expect(house.manifest('a/b', '3', { method })).rejects.toMatchObject({ status });
        await expect(house.blob('a/b', one.digest, { method })).rejects.toMatchObject({ status });
        await expect(house.manifest('a/b', one.digest, { method })).rejects.toMatchObject({ status });
      }
      expect(hub.asked).toHaveLength(6);
      hub.say(() => supply(one));
      expect(sha256(await bytesOf(await house.manifest('a/b', '3')))).toBe(one.digest);
    });
  }
});

describe('verified before the first byte', () => {
  test('[P23] a wrong manifest is never kept, counted once, and the next upstream asked', async () => {
    const wrong = Buffer.from(one.bytes);
    wrong[20] = wrong[20]! ^ 1;
    const bad = createScriptedPort('bad', () => ({ ...supply(one), bytes: wrong }));
    const house = await createHouse({ chain: [bad] });
    for (const reference of ['3', one.digest]) {
      await expect(house.manifest('a/b', reference)).rejects.toMatchObject({ status: 502 });
      expect(house.events).toContainEqual({ kind: 'verify-failed', upstream: 'bad', digest: one.digest, whole: true });
    }
    expect(house.counted('verify-failed')).toBe(2);
    expect(await house.blobs.open(one.digest)).toBeUndefined();
    expect(await house.records.tag('docker.io/a/b', '3')).toBeUndefined();
    const good = createScriptedPort('good', () => supply(one));
    const second = await createHouse({ chain: [bad, good] });
    const trace = newTrace('1');
    expect(sha256(await bytesOf(await second.manifest('a/b', '3', { trace })))).toBe(one.digest);
    expect([trace.upstream, trace.tried.map(({ upstream }) => upstream)]).toEqual(['good', ['bad']]);
  });

  test('[P81] bytes that rotted on disk are found out, dropped and fetched again', async () => {
    const hub = createScriptedPort('hub', () => supply(one));
    const first = await createHouse({ chain: [hub] });
    await first.manifest('a/b', '3');
    const [, hex] = one.digest.split(':') as [string, string];
    const file = (await first.disk.open(`/data/entrepot/blobs/sha256/${hex.slice(0, 2)}/${hex}`, 'update'))!;
    await file.write(new Uint8Array([0]), 5);
    await file.close();
    const { disk, metadata, clock } = first;
    const house = await createHouse({ chain: [hub], disk, metadata, clock, process: 1 });
    expect(sha256(await bytesOf(await house.manifest('a/b', one.digest)))).toBe(one.digest);
    expect(house.counted('quarantined')).toBe(1);
    expect(hub.gets()).toHaveLength(2);
  });

  test('[P32] 4 MiB of manifest pass, a byte more is the upstream’s fault', async () => {
    const pad = (length: number): Buffer => {
      const open = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"x":"';
      return Buffer.from(`${open}${'y'.repeat(length - open.length - 2)}"}`);
    };
    const hub = createScriptedPort('hub', (_, at) => ({ bytes: pad(4 * 1024 * 1024 + at), size: null }));
    const house = await createHouse({ chain: [hub] });
    expect((await bytesOf(await house.manifest('a/b', '3'))).length).toBe(4 * 1024 * 1024);
    await expect(house.manifest('a/b', '4')).rejects.toMatchObject({ status: 502 });
    expect(hub.openBodies()).toBe(0);
  });
});

describe('in time', () => {
  test('[P39] [P40] a chain that hangs is answered within 25 s, whatever is asked and however many questions it takes', async () => {
    const hub = createScriptedPort('hub', () => 'hang');
    const house = await createHouse({ chain: [hub, createScriptedPort('two', () => 'hang')] });
    const asked = [
      house.manifest('a/b', '3'),
      house.manifest('a/b', '3', { method: 'HEAD' }),
      house.manifest('a/b', one.digest),
      house.blob('a/b', one.digest),
      house.blob('a/b', two.digest, { method: 'HEAD' }),
    ].map((reply) => reply.catch((error: unknown) => error));
    await settle();
    await house.clock.advance(25_000);
    for (const error of asked) expect(await error).toMatchObject({ status: 504, code: 'UNAVAILABLE' });
  });

  test('[P39] bytes held for another repository: a HEAD that hangs is not followed by a GET that hangs', async () => {
    const hub = createScriptedPort('hub', ({ repository }) => (repository === 'a/b' ? supply(one) : 'hang'));
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', one.digest);
    const asked = house.manifest('c/d', one.digest).catch((error: unknown) => error);
    await settle();
    await house.clock.advance(25_000);
    expect(await asked).toMatchObject({ status: 504 });
  });

  test('[P39] who waits for another’s fill, and then for a proof, waits no longer than others', async () => {
    let answer: (said: Said) => void = () => undefined;
    const hub = createScriptedPort('hub', ({ repository }) =>
      repository === 'a/b' ? new Promise<Said>((resolve) => (answer = resolve)) : 'hang',
    );
    const house = await createHouse({ chain: [hub] });
    const { digest } = randomBlob(1_000_000);
    const first = house.blob('a/b', digest);
    const joined = house.blob('c/d', digest).catch((error: unknown) => error);
    await settle();
    await house.clock.advance(20_000);
    answer({ bytes: randomBlob(1_000_000).bytes });
    await first;
    await house.clock.advance(5_000);
    expect(await Promise.race([joined, Promise.resolve('waits')])).toMatchObject({ status: 504 });
  });

  test('[P40] a manifest that drips counts against the same time', async () => {
    const never = new Promise<void>(() => undefined);
    const hub = createScriptedPort('hub', () => ({ ...supply(one), hold: { after: 10, until: never } }));
    const house = await createHouse({ chain: [hub] });
    const asked = house.manifest('a/b', '3').catch((error: unknown) => error);
    await settle();
    await house.clock.advance(25_000);
    expect(await asked).toMatchObject({ status: 504 });
    expect(hub.openBodies()).toBe(0);
  });
});
