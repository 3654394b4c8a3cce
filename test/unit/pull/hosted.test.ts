import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import type { Target } from '../../../src/pull/name.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { UpstreamError } from '../../../src/upstream/upstream.ts';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { pushBlob, pushImage, pushManifest, pushReferrer } from '../../fakes/pushed.ts';
import { ABSENT, createScriptedPort, trouble, type PortScript, type Said } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle, sha256, type House } from './house.ts';

const ours = buildImage({ label: 'ours', platforms: ['linux/amd64', 'linux/arm64'] });
const theirs = buildImage({ label: 'theirs', layers: [2000] });
const HOLDER = 'docker.io/acme/app';
const own = `/v2/acme/app`;

/** An upstream that holds another image under every name, and all that it could say of it. */
const squatter: PortScript = ({ kind, reference }) => {
  if (kind === 'tags') return { bytes: Buffer.from('{"name":"acme/app","tags":["1","evil"]}') };
  if (kind === 'referrers') return ABSENT;
  const found = [theirs.top, ...theirs.layers, theirs.config].find(({ digest }) => digest === reference);
  if (found === undefined && (kind === 'blob' || reference.includes(':'))) return ABSENT;
  const { bytes, digest } = found ?? theirs.top;
  return { bytes, digest, ...(kind === 'manifest' ? { mediaType: theirs.top.mediaType } : {}) };
};

const MIXED = { hosted: true, push: true };
const ALONE = { hosted: true, alone: true, push: true };

async function houseOf(route: typeof MIXED, script: PortScript = squatter) {
  const hub = createScriptedPort('hub', script);
  const metadata = createMemoryMetadata();
  const house = await createHouse({ chain: 'alone' in route ? [] : [hub], route, metadata, policy: { prefetch: true } });
  return { house, hub, metadata };
}

async function pushed(route: typeof MIXED, script?: PortScript) {
  const made = await houseOf(route, script);
  await pushImage(made.house, HOLDER, ['1', '2'], ours);
  return made;
}

const nameOf = ({ parse }: House, path = own) =>
  (parse(`${path}/tags/list`, undefined) as Extract<Target, { kind: 'tags' }>).name;
const list = async (house: House, query = '', path = own): Promise<Reply> =>
  house.lists.tags(nameOf(house, path), new URLSearchParams(query), { trace: newTrace('1') });
const referrers = (house: House, digest: typeof ours.top.digest, query = ''): Promise<Reply> =>
  house.lists.referrers(nameOf(house), digest, new URLSearchParams(query), { trace: newTrace('1') });
const jsonOf = async (reply: Reply): Promise<unknown> => JSON.parse((await bytesOf(reply)).toString());

const refusalOf = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => 'answered',
    (error: unknown) => (error instanceof RegistryError ? `${error.status} ${error.code}` : error),
  );

/** Every question that a client can ask of a repository, by what is in it. */
function questions(house: House): Readonly<Record<string, () => Promise<Reply>>> {
  const layer = ours.layers[0]!;
  return {
    'GET tag': () => house.manifest('acme/app', '1'),
    'HEAD tag': () => house.manifest('acme/app', '1', { method: 'HEAD' }),
    'GET digest': () => house.manifest('acme/app', ours.top.digest),
    'GET blob': () => house.blob('acme/app', layer.digest),
    'HEAD blob': () => house.blob('acme/app', layer.digest, { method: 'HEAD' }),
    'GET range': () => house.blob('acme/app', layer.digest, { range: 'bytes=1-9' }),
    tags: () => list(house),
    referrers: () => referrers(house, ours.top.digest),
  };
}

for (const [chain, route] of [
  ['[hosted]', ALONE],
  ['[hosted, hub]', MIXED],
] as const) {
  describe(`what was pushed, on the chain ${chain}`, () => {
    test('is answered from here alone, as a hit of no age', async () => {
      const { house, hub } = await pushed(route);
      await house.clock.advance(1_000_000_000);
      for (const reference of ['1', '2', ours.top.digest]) {
        const reply = await house.manifest('acme/app', reference);
        expect([reply.headers['cache-status'], reply.headers['warning'], reply.headers['content-type']]).toEqual([
          'entrepot; hit',
          undefined,
          ours.top.mediaType,
        ]);
        expect(sha256(await bytesOf(reply))).toBe(ours.top.digest);
      }
      for (const blob of [...ours.layers, ...ours.configs])
        expect(sha256(await bytesOf(await house.blob('acme/app', blob.digest)))).toBe(blob.digest);
      for (const manifest of ours.manifests) expect((await house.manifest('acme/app', manifest.digest)).status).toBe(200);
      expect(await jsonOf(await list(house))).toEqual({ name: 'acme/app', tags: ['1', '2'] });
      expect(await jsonOf(await referrers(house, ours.top.digest))).toMatchObject({ manifests: [] });
      expect(hub.asked).toEqual([]);
    });

    test('[S14] what was not is 404, and nobody is asked for it', async () => {
      const { house, hub } = await pushed(route);
      const other = randomBlob(10).digest;
      expect(await refusalOf(house.manifest('acme/app', 'evil'))).toBe('404 MANIFEST_UNKNOWN');
      expect(await refusalOf(house.manifest('acme/app', theirs.top.digest))).toBe('404 MANIFEST_UNKNOWN');
      expect(await refusalOf(house.manifest('acme/app', ours.layers[0]!.digest))).toBe('404 MANIFEST_UNKNOWN');
      expect(await refusalOf(house.blob('acme/app', theirs.layers[0]!.digest))).toBe('404 BLOB_UNKNOWN');
      expect(await refusalOf(house.blob('acme/app', other, { method: 'HEAD' }))).toBe('404 BLOB_UNKNOWN');
      expect(await jsonOf(await list(house, 'last=1'))).toEqual({ name: 'acme/app', tags: ['2'] });
      expect(hub.asked).toEqual([]);
      const trace = newTrace('1');
      const error = await house.manifest('acme/app', 'evil', { trace }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        headers: { 'cache-status': 'entrepot; detail=hosted' },
        message: 'manifest acme/app:evil was not pushed here',
      });
      expect(trace.outcome).toBe('negative');
    });

    test('[S14] metadata that cannot be asked are a 503, whatever is asked, and no upstream hears of it', async () => {
      const { house, hub, metadata } = await pushed(route);
      metadata.setDown(true);
      for (const [what, ask] of Object.entries(questions(house)))
        expect([what, await refusalOf(ask())]).toEqual([what, '503 UNAVAILABLE']);
      expect(hub.asked).toEqual([]);
      expect(house.events).toContainEqual(expect.objectContaining({ kind: 'bypass', reason: 'metadata' }));
    });

    test.each(['EIO', 'ESTALE'])('[S14] so is a disk that cannot be read, and says %s', async (code) => {
      const { house, hub } = await pushed(route);
      house.disk.fail({ on: 'open', as: code });
      const { tags: _, referrers: __, ...bytes } = questions(house);
      for (const [what, ask] of Object.entries(bytes))
        expect([what, await refusalOf(ask())]).toEqual([what, '503 UNAVAILABLE']);
      expect(hub.asked).toEqual([]);
    });

    test('[S14] manifests whose bytes are lost or damaged are a 500, so that nobody takes them for deleted', async () => {
      const { house, hub } = await pushed(route);
      await house.blobs.remove(ours.top.digest);
      for (const method of ['GET', 'HEAD'] as const)
        expect(await refusalOf(house.manifest('acme/app', '1', { method }))).toBe('500 UNKNOWN');
      const damaged = { ...theirs.top, bytes: Buffer.from(theirs.top.bytes).fill(32, 5, 9) };
      await pushManifest(house, HOLDER, ['3'], damaged, []);
      expect(await refusalOf(house.manifest('acme/app', '3'))).toBe('500 UNKNOWN');
      expect(house.counted('quarantined')).toBe(1);
      expect(hub.asked).toEqual([]);
      await pushManifest(house, HOLDER, ['3'], theirs.top, []);
      expect(sha256(await bytesOf(await house.manifest('acme/app', '3')))).toBe(theirs.top.digest);
    });

    test('[S14] a blob whose bytes are lost is 404 until somebody pushes it again', async () => {
      const { house, hub } = await pushed(route);
      const layer = ours.layers[0]!;
      await house.blobs.remove(layer.digest);
      for (const method of ['GET', 'HEAD'] as const)
        expect(await refusalOf(house.blob('acme/app', layer.digest, { method }))).toBe('404 BLOB_UNKNOWN');
      // Nor is it fetched because the manifest that names it is pulled, though the route fills ahead.
      await house.manifest('acme/app', ours.manifests[0]!.digest);
      await house.clock.advance(1);
      await settle(60);
      expect(hub.asked).toEqual([]);
      await pushBlob(house, 'docker.io/other/app', layer);
      expect((await house.blob('acme/app', layer.digest)).status).toBe(200);
    });

    test('a repository whose last tag went stays ours, with an empty list', async () => {
      const { house, hub } = await pushed(route);
      for (const manifest of [ours.top, ...ours.manifests]) await house.records.dropHosted(HOLDER, manifest.digest);
      expect(await jsonOf(await list(house))).toEqual({ name: 'acme/app', tags: [] });
      expect(await refusalOf(house.manifest('acme/app', '1'))).toBe('404 MANIFEST_UNKNOWN');
      expect(hub.asked).toEqual([]);
    });

    test('refresh says that there is nobody to ask', async () => {
      const { house, hub } = await pushed(route);
      const target = house.parse(`${own}/manifests/1`, undefined) as Extract<Target, { kind: 'manifest' }>;
      const signal = new AbortController().signal;
      const asked = house.pulls.refresh({ method: 'GET', target, signal, trace: newTrace('1') });
      await expect(asked).rejects.toThrow('docker.io/acme/app is hosted here: there is no upstream to ask');
      expect(hub.asked).toEqual([]);
    });
  });
}

describe('what was not pushed', () => {
  test('on the chain [hosted] is 404, also where an earlier chain left something of it', async () => {
    const { house } = await houseOf(ALONE);
    const hub = createScriptedPort('hub', squatter);
    const before = await createHouse({ chain: [hub], disk: house.disk, metadata: house.metadata, process: 1 });
    await bytesOf(await before.manifest('acme/app', '1'));
    await bytesOf(await before.blob('acme/app', theirs.layers[0]!.digest));
    await settle(60);
    expect(await refusalOf(house.manifest('acme/app', '1'))).toBe('404 MANIFEST_UNKNOWN');
    expect(await refusalOf(house.manifest('acme/app', theirs.top.digest))).toBe('404 MANIFEST_UNKNOWN');
    expect(await refusalOf(house.blob('acme/app', theirs.layers[0]!.digest))).toBe('404 BLOB_UNKNOWN');
    expect(await refusalOf(list(house))).toBe('404 NAME_UNKNOWN');
    expect(await jsonOf(await referrers(house, theirs.top.digest))).toMatchObject({ manifests: [] });
  });

  test('on the chain [hosted, hub] is answered by the others as ever', async () => {
    const { house, hub } = await houseOf(MIXED);
    expect(sha256(await bytesOf(await house.manifest('acme/app', '1')))).toBe(theirs.top.digest);
    expect(await jsonOf(await list(house))).toEqual({ name: 'acme/app', tags: ['1', 'evil'] });
    expect(sha256(await bytesOf(await house.blob('acme/app', theirs.layers[0]!.digest)))).toBe(theirs.layers[0]!.digest);
    expect(await refusalOf(house.blob('acme/app', randomBlob(10).digest))).toBe('404 BLOB_UNKNOWN');
    expect(hub.asked.length).toBeGreaterThan(0);
  });

  test('and what was pulled of it is not served any more once it is pushed', async () => {
    const { house, hub } = await houseOf(MIXED);
    await bytesOf(await house.manifest('acme/app', 'evil'));
    await pushImage(house, HOLDER, ['1'], ours);
    const asked = hub.asked.length;
    expect(await refusalOf(house.manifest('acme/app', 'evil'))).toBe('404 MANIFEST_UNKNOWN');
    expect(sha256(await bytesOf(await house.manifest('acme/app', '1')))).toBe(ours.top.digest);
    expect(await jsonOf(await list(house))).toEqual({ name: 'acme/app', tags: ['1'] });
    await house.records.disown(HOLDER);
    expect(sha256(await bytesOf(await house.manifest('acme/app', '1')))).toBe(theirs.top.digest);
    expect(hub.asked.length).toBeGreaterThan(asked);
  });

  test('a pull under way when the first push comes does not move the tag that was pushed', async () => {
    let answer: (said: Said) => void = () => undefined;
    const { house } = await houseOf(MIXED, (request, at) =>
      request.kind === 'manifest' && request.method === 'GET'
        ? new Promise((resolve) => (answer = resolve))
        : squatter(request, at),
    );
    const pulled = house.manifest('acme/app', '1');
    await settle();
    await pushImage(house, HOLDER, ['1'], ours);
    answer({ bytes: theirs.top.bytes, digest: theirs.top.digest, mediaType: theirs.top.mediaType });
    await pulled;
    expect(sha256(await bytesOf(await house.manifest('acme/app', '1')))).toBe(ours.top.digest);
  });

  test('a blob that is pushed before its manifest is there, on either chain', async () => {
    for (const route of [ALONE, MIXED]) {
      const { house } = await houseOf(route);
      const blob = randomBlob(100);
      expect(await refusalOf(house.blob('acme/app', blob.digest, { method: 'HEAD' }))).toBe('404 BLOB_UNKNOWN');
      await pushBlob(house, HOLDER, blob);
      expect((await house.blob('acme/app', blob.digest, { method: 'HEAD' })).status).toBe(200);
    }
  });

  test('[S14] nor is its blob absent while disk or metadata cannot be read: nobody asks the chain, which has none', async () => {
    const { house, hub } = await houseOf(MIXED);
    const blob = randomBlob(100);
    await pushBlob(house, HOLDER, blob);
    const ask = (): Promise<unknown[]> =>
      Promise.all((['GET', 'HEAD'] as const).map((method) => refusalOf(house.blob('acme/app', blob.digest, { method }))));
    const lift = house.disk.fail({ on: 'open', as: 'EMFILE' });
    expect(await ask()).toEqual(['503 UNAVAILABLE', '503 UNAVAILABLE']);
    lift();
    const { link } = house.records;
    house.records.link = () => Promise.reject(new Error('the answer was lost'));
    expect(await ask()).toEqual(['503 UNAVAILABLE', '503 UNAVAILABLE']);
    house.records.link = link;
    expect(hub.asked).toEqual([]);
    expect((await house.blob('acme/app', blob.digest, { method: 'HEAD' })).status).toBe(200);
  });

  test.each([true, false])(
    'a tag that was pushed is not served by a chain that holds hosted no more, open: %s',
    async (open) => {
      const metadata = createMemoryMetadata();
      const hub = createScriptedPort('hub', squatter);
      const before = await createHouse({ chain: [hub], route: MIXED, metadata });
      await pushImage(before, HOLDER, ['1'], ours);
      const after = await createHouse({ chain: [hub], metadata, disk: before.disk, process: 1, policy: { open } });
      expect(sha256(await bytesOf(await after.manifest('acme/app', '1')))).toBe(theirs.top.digest);
      expect(hub.asked).not.toEqual([]);
    },
  );

  test.each([true, false])('nor offline, open: %s', async (open) => {
    const metadata = createMemoryMetadata();
    const before = await createHouse({ chain: [], route: MIXED, metadata });
    await pushImage(before, HOLDER, ['1'], ours);
    const policy = { offline: true, open };
    const after = await createHouse({ chain: [], metadata, disk: before.disk, process: 1, policy });
    expect(await refusalOf(after.manifest('acme/app', '1'))).toBe('404 MANIFEST_UNKNOWN');
  });
});

describe('decision 10: what a hit asks of the metadata', () => {
  test.each([
    ['[hosted]', ALONE, 1],
    ['[hosted, hub]', MIXED, 2],
  ] as const)('on the chain %s', async (_, route, reads) => {
    const { house, metadata } = await pushed(route);
    const { get } = metadata;
    let count = 0;
    metadata.get = (slot, key) => {
      count += 1;
      return get(slot, key);
    };
    const { tags: _tags, referrers: _referrers, ...hits } = questions(house);
    for (const [what, ask] of Object.entries(hits)) {
      count = 0;
      await ask();
      expect([what, count]).toEqual([what, reads]);
    }
  });
});

describe('[R28] who asks by HEAD what it need not push', () => {
  const HALF_HOUR = 1_800_000;
  const layer = ours.layers[0]!;
  const paths = [`/blobs/${layer.digest}`, `/manifests/${ours.top.digest}`].map((path) => `${own}${path}`);

  test.each(paths)('%s is spared by collection from then on', async (path) => {
    const { house } = await pushed(ALONE);
    const digest = path.endsWith(layer.digest) ? layer.digest : ours.top.digest;
    const at = async () => (await house.records.link(HOLDER, digest))!.at;
    const before = await at();
    house.clock.jump(HALF_HOUR - 1);
    await house.ask(path, { method: 'HEAD' });
    expect(await at()).toBe(before);
    house.clock.jump(1);
    await bytesOf(await house.ask(path));
    expect(await at()).toBe(before);
    await house.ask(path, { method: 'HEAD' });
    expect(await at()).toBe(before + HALF_HOUR);
  });

  test('so it is where nobody owns the repository yet', async () => {
    const { house } = await houseOf(MIXED);
    const blob = randomBlob(100);
    await pushBlob(house, HOLDER, blob);
    const before = (await house.records.link(HOLDER, blob.digest))!.at;
    house.clock.jump(HALF_HOUR);
    await bytesOf(await house.blob('acme/app', blob.digest));
    expect((await house.records.link(HOLDER, blob.digest))!.at).toBe(before);
    await house.blob('acme/app', blob.digest, { method: 'HEAD' });
    expect((await house.records.link(HOLDER, blob.digest))!.at).toBe(before + HALF_HOUR);
  });

  test.each([ALONE, MIXED])('and is not told of what collection takes at that moment (%j)', async (route) => {
    const { house, metadata } = await pushed(route);
    house.clock.jump(2 * HALF_HOUR);
    metadata.beforeCommit(async () => {
      metadata.beforeCommit(undefined);
      await house.records.dropLink(HOLDER, layer.digest);
    });
    expect(await refusalOf(house.ask(paths[0]!, { method: 'HEAD' }))).toBe('404 BLOB_UNKNOWN');
  });
});

describe('lists of what was pushed', () => {
  test('[P86] [P87] [P88] [P89] [P90] tags come in pages', async () => {
    const { house } = await pushed(ALONE);
    const tags = Array.from({ length: 5 }, (_, at) => `t${at}`);
    await pushManifest(house, HOLDER, tags, ours.top, []);
    const all = ['1', '2', ...tags];
    const first = await list(house, 'n=3');
    expect(await jsonOf(first)).toEqual({ name: 'acme/app', tags: all.slice(0, 3) });
    expect(first.headers['link']).toBe('</v2/acme/app/tags/list?n=3&last=t0>; rel="next"');
    expect(await jsonOf(await list(house, 'n=3&last=t0'))).toEqual({ name: 'acme/app', tags: all.slice(3, 6) });
    const last = await list(house, 'n=4&last=t0');
    expect([(await jsonOf(last)) as unknown, last.headers['link']]).toEqual([
      { name: 'acme/app', tags: all.slice(3) },
      undefined,
    ]);
    expect(await jsonOf(await list(house, 'last=nothing'))).toEqual({ name: 'acme/app', tags });
    const none = await list(house, 'n=0');
    expect([await jsonOf(none), none.headers['link']]).toEqual([{ name: 'acme/app', tags: [] }, undefined]);
    expect((await list(house, 'n=100000')).status).toBe(200);
    expect(await refusalOf(list(house, 'n=-1'))).toBe('400 PAGINATION_NUMBER_INVALID');
  });

  test('[P92] a repository to which nothing was pushed is not known', async () => {
    const { house } = await pushed(ALONE);
    for (const query of ['', 'n=0']) expect(await refusalOf(list(house, query, '/v2/acme/none'))).toBe('404 NAME_UNKNOWN');
  });

  test('[P94] [P95] referrers, filtered where that is asked for', async () => {
    const { house, hub } = await pushed(MIXED);
    const signature = await pushReferrer(house, HOLDER, ours.top, 'application/x.signature', 'a');
    const bill = await pushReferrer(house, HOLDER, ours.top, 'application/x.sbom', 'b');
    const reply = await referrers(house, ours.top.digest);
    expect(reply.headers['content-type']).toBe('application/vnd.oci.image.index.v1+json');
    expect(reply.headers['oci-filters-applied']).toBeUndefined();
    const { manifests } = (await jsonOf(reply)) as { manifests: { digest: string }[] };
    expect(manifests.map(({ digest }) => digest).sort()).toEqual([signature.digest, bill.digest].sort());
    const filtered = await referrers(house, ours.top.digest, 'artifactType=application/x.sbom');
    expect(filtered.headers['oci-filters-applied']).toBe('artifactType');
    expect(await jsonOf(filtered)).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: bill.mediaType,
          digest: bill.digest,
          size: bill.size,
          artifactType: 'application/x.sbom',
          annotations: { label: 'b' },
        },
      ],
    });
    expect(await jsonOf(await referrers(house, randomBlob(3).digest))).toMatchObject({ manifests: [] });
    expect(hub.asked).toEqual([]);
  });

  test('many and large referrers come in pages of at most 4 MiB, each once', async () => {
    const { house } = await pushed(ALONE);
    const written = new Set<string>();
    const type = (at: number): string => (at % 2 === 0 ? 'application/x.even' : 'application/x.odd');
    for (let at = 0; at < 12; at += 1)
      written.add((await pushReferrer(house, HOLDER, ours.top, type(at), `${at} ${'x'.repeat(600_000)}`)).digest);
    for (const [query, expected] of [
      ['', 12],
      ['n=5', 12],
      ['artifactType=application/x.even&n=2', 6],
    ] as const) {
      const seen: string[] = [];
      let next: string | undefined = query;
      let pages = 0;
      for (; next !== undefined && pages < 20; pages += 1) {
        const reply: Reply = await referrers(house, ours.top.digest, next);
        const bytes = await bytesOf(reply);
        expect(bytes.length).toBeLessThan(4 * 1024 * 1024);
        seen.push(
          ...(JSON.parse(bytes.toString()) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest),
        );
        next = /^<\/v2\/acme\/app\/referrers\/[^?]+\?(.*)>; rel="next"$/.exec(reply.headers['link'] ?? '')?.[1];
      }
      expect([seen.length, new Set(seen).size, seen.every((digest) => written.has(digest))]).toEqual([
        expected,
        expected,
        true,
      ]);
      expect(pages).toBeGreaterThan(1);
    }
    expect(await refusalOf(referrers(house, ours.top.digest, 'last=x'))).toBe('400 DIGEST_INVALID');
  });
});

describe('whether a name is taken', () => {
  const name = { registry: 'docker.io', repository: 'acme/new' };
  const answering =
    (tags: Said, latest: Said): PortScript =>
    (request) =>
      request.kind === 'tags' ? tags : latest;
  const there = { bytes: Buffer.from('{"tags":[]}') };
  const manifest = { bytes: theirs.top.bytes, digest: theirs.top.digest, mediaType: theirs.top.mediaType };
  const loop = new UpstreamError('hub', 'status', 'hub: goes round', { status: 508 });

  test.each<readonly [string, Said, Said, string]>([
    ['tags are listed', there, ABSENT, 'taken'],
    ['tags are not listed, but latest is there', ABSENT, manifest, 'taken'],
    ['it refuses our account', { kind: 'denied' }, ABSENT, 'taken'],
    ['it knows nothing', ABSENT, ABSENT, 'free'],
    ['it wants us to sign in, as Docker Hub does for what is not there', { kind: 'absent', hint: 'sign in' }, ABSENT, 'free'],
    ['it only asks us', loop, loop, 'free'],
    ['it cannot be reached', trouble('hub'), ABSENT, 'unknown'],
    ['it cannot be reached for the second question', ABSENT, trouble('hub'), 'unknown'],
    ['its rate limit is spent', { kind: 'limited', retryAfterSeconds: 5 }, ABSENT, 'unknown'],
  ])('%s', async (_, tags, latest, expected) => {
    const { house } = await houseOf(MIXED, answering(tags, latest));
    expect(await house.askTaken(name)).toBe(expected);
  });

  test('what is free is believed for negativettl, what is taken or unknown never', async () => {
    const { house, hub } = await houseOf(MIXED, answering(ABSENT, ABSENT));
    await house.askTaken(name);
    const asked = hub.asked.length;
    expect([await house.askTaken(name), hub.asked.length]).toEqual(['free', asked]);
    hub.say(answering(there, ABSENT));
    await house.clock.advance(30_000);
    expect(await house.askTaken(name)).toBe('taken');
    hub.say(answering(trouble('hub'), ABSENT));
    expect(await house.askTaken(name)).toBe('unknown');
    hub.say(answering(ABSENT, ABSENT));
    expect(await house.askTaken(name)).toBe('free');
  });

  test('nobody is asked where hosted is alone, or the route is offline', async () => {
    const alone = await houseOf(ALONE);
    expect(await alone.house.askTaken(name)).toBe('free');
    const offline = await createHouse({ chain: [], route: MIXED, policy: { offline: true } });
    expect(await offline.askTaken(name)).toBe('unknown');
  });
});

describe('[decision 11] what a pushed manifest needs and its chain has', () => {
  const [registry, repository] = ['docker.io', 'acme/app'];
  const name = { registry, repository };
  const layer = theirs.layers[0]!;
  const needOf = ({ digest, size }: typeof layer, mediaType = 'application/octet-stream') => ({ digest, size, mediaType });
  const { signal } = new AbortController();

  test('is fetched, so that it is held and linked: blobs and manifests', async () => {
    const { house } = await houseOf(MIXED);
    await house.pulls.adopt(name, [needOf(layer), needOf(theirs.top, theirs.top.mediaType)], signal);
    for (const digest of [layer.digest, theirs.top.digest]) {
      expect(await house.records.link(HOLDER, digest)).toMatchObject({ by: 'upstream' });
      expect((await house.records.blob(digest))?.state).toBe('held');
    }
    await pushManifest(house, HOLDER, ['1'], theirs.top, [layer.digest]);
    expect(await house.records.link(HOLDER, layer.digest)).toMatchObject({ by: 'push' });
  });

  test('is proven where another repository has brought the bytes, or is bringing them', async () => {
    const { house } = await houseOf(MIXED);
    await bytesOf(await house.blob('other/app', layer.digest));
    await settle(60);
    await house.pulls.adopt(name, [needOf(layer)], signal);
    expect(await house.records.link(HOLDER, layer.digest)).toMatchObject({ by: 'upstream' });
    const running = (await houseOf(MIXED)).house;
    const reply = running.blob('other/app', layer.digest);
    await running.pulls.adopt(name, [needOf(layer)], signal);
    expect(await running.records.link(HOLDER, layer.digest)).toMatchObject({ by: 'upstream' });
    await bytesOf(await reply);
  });

  test('is left out where nobody has it; trouble is told', async () => {
    const { house, hub } = await houseOf(MIXED);
    const none = randomBlob(10);
    await house.pulls.adopt(name, [needOf(none)], signal);
    expect(await house.records.link(HOLDER, none.digest)).toBeUndefined();
    hub.say(() => trouble('hub'));
    expect(await refusalOf(house.pulls.adopt(name, [needOf(layer)], signal))).toBe('502 UNAVAILABLE');
    expect(await refusalOf(house.pulls.adopt(name, [needOf(theirs.top, theirs.top.mediaType)], signal))).toBe(
      '502 UNAVAILABLE',
    );
  });

  test('is not asked for once the repository is ours, or where there is nobody to ask', async () => {
    const { house, hub } = await pushed(MIXED);
    await house.pulls.adopt(name, [needOf(layer)], signal);
    expect(hub.asked).toEqual([]);
    const alone = await houseOf(ALONE);
    await alone.house.pulls.adopt(name, [needOf(layer)], signal);
    expect(await alone.house.records.link(HOLDER, layer.digest)).toBeUndefined();
  });
});
