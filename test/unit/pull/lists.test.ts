import { describe, expect, test } from 'vitest';
import { OCI_INDEX } from '../../../src/oci/media-types.ts';
import { referrersTag } from '../../../src/oci/reference.ts';
import type { Name } from '../../../src/pull/name.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import type { ShowName } from '../../../src/pull/lists.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import type { UpstreamRequest } from '../../../src/upstream/upstream.ts';
import { manifestBlob, MEDIA_TYPE, randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, trouble, type Said } from '../../fakes/scripted-port.ts';
import { createHouse, settle, type House } from './house.ts';

const TAGS = ['1', '2', '3', '4', '5'];
const TTL = 300_000;

function json(value: unknown): Said {
  return { bytes: Buffer.from(JSON.stringify(value)) };
}

async function tags(house: House, path: string, query = '', trace = newTrace('1')): Promise<Reply & { json: unknown }> {
  const { name } = house.parse(`/v2/${path}/tags/list?${query}`, undefined) as { name: Name };
  const reply = await house.lists.tags(name, new URLSearchParams(query), { trace });
  return { ...reply, json: jsonOf(reply) };
}

function jsonOf(reply: Reply): unknown {
  if (reply.body.kind !== 'bytes') throw new Error('no body');
  return JSON.parse(Buffer.from(reply.body.bytes).toString());
}

/** Heeds `n` and `last`, or takes no notice of them. */
function tagServer(heeds: boolean, all: readonly string[] = TAGS) {
  return createScriptedPort('hub', ({ query }: UpstreamRequest) => {
    const after = heeds && query?.['last'] !== undefined ? all.filter((tag) => tag > query['last']!) : all;
    const n = heeds && query?.['n'] !== undefined ? Number(query['n']) : Infinity;
    const page = after.slice(0, n);
    const next = after.length > n ? { next: { n: String(n), last: page.at(-1)! } } : {};
    return { ...(json({ name: 'x', tags: page }) as object), ...next } as Said;
  });
}

describe('tags', () => {
  test('[P85] [P109] the list as the upstream sorts it, under the name that was asked for', async () => {
    const house = await createHouse({ chain: [tagServer(true, ['b', 'a'])] });
    const reply = await tags(house, 'quay.io/org/x');
    expect(reply.json).toEqual({ name: 'quay.io/org/x', tags: ['b', 'a'] });
    expect(reply.headers['content-type']).toBe('application/json');
  });

  test('[P86] n=0 is an empty page without a link; an unknown repository is still 404', async () => {
    const hub = tagServer(true);
    const house = await createHouse({ chain: [hub] });
    const reply = await tags(house, 'a/b', 'n=0');
    expect([reply.json, reply.headers['link']]).toEqual([{ name: 'a/b', tags: [] }, undefined]);
    hub.say(() => ABSENT);
    await expect(tags(house, 'c/d', 'n=0')).rejects.toMatchObject({ status: 404 });
  });

  for (const heeds of [true, false]) {
    test(`[P87] [P88] pages follow one another to the end, upstream ${heeds ? 'paging' : 'not paging'}`, async () => {
      const house = await createHouse({ chain: [tagServer(heeds)] });
      const seen: string[] = [];
      let query = 'n=2&ns=docker.io';
      for (let page = 0; page < 10; page += 1) {
        const reply = await tags(house, 'a/b', query);
        seen.push(...(reply.json as { tags: string[] }).tags);
        const { link } = reply.headers;
        if (link === undefined) break;
        const [, path, next] = /^<([^?]+)\?(.*)>; rel="next"$/.exec(link)!;
        expect(path).toBe('/v2/a/b/tags/list');
        expect(new URLSearchParams(next).get('ns')).toBe('docker.io');
        query = next!;
      }
      expect(seen).toEqual(TAGS);
    });
  }

  test('[P88] last without n; last that is no tag', async () => {
    for (const heeds of [true, false]) {
      const house = await createHouse({ chain: [tagServer(heeds)] });
      expect((await tags(house, 'a/b', 'last=3')).json).toMatchObject({ tags: ['4', '5'] });
      expect((await tags(house, 'a/b', 'last=33')).json).toMatchObject({ tags: ['4', '5'] });
    }
  });

  test.each(['-1', 'abc', '0x10', '1e9', '99999999999'])('[P89] [S23] n=%s is 400', async (n) => {
    const hub = tagServer(true);
    const house = await createHouse({ chain: [hub] });
    await expect(async () => tags(house, 'a/b', `n=${n}`)).rejects.toMatchObject({
      status: 400,
      code: 'PAGINATION_NUMBER_INVALID',
    });
    expect(hub.asked).toHaveLength(0);
  });

  test('[P90] [S23] n is clamped', async () => {
    const hub = tagServer(true);
    const house = await createHouse({ chain: [hub] });
    await tags(house, 'a/b', 'n=100000');
    expect(hub.asked[0]!.query).toEqual({ n: '1000' });
  });

  test('[P91] null is no tag', async () => {
    const house = await createHouse({ chain: [createScriptedPort('hub', () => json({ name: 'x', tags: null }))] });
    expect((await tags(house, 'a/b')).json).toEqual({ name: 'a/b', tags: [] });
  });

  test('[P92] an unknown repository is 404 NAME_UNKNOWN, remembered for the negative ttl', async () => {
    const hub = createScriptedPort('hub', () => ABSENT);
    const house = await createHouse({ chain: [hub] });
    for (let round = 0; round < 3; round += 1) {
      await expect(tags(house, 'a/b')).rejects.toMatchObject({ status: 404, code: 'NAME_UNKNOWN' });
    }
    expect(hub.asked).toHaveLength(1);
  });

  test('[P93] cached for the ttl; stale when the chain fails, in time when it hangs; else 502', async () => {
    const hub = tagServer(true);
    const house = await createHouse({ chain: [hub] });
    const asked = await Promise.all(Array.from({ length: 10 }, () => tags(house, 'a/b')));
    expect(asked.map(({ json: list }) => list)).toEqual(Array(10).fill({ name: 'a/b', tags: TAGS }));
    await tags(house, 'a/b');
    expect(hub.asked).toHaveLength(1);
    hub.say(() => trouble('hub'));
    await house.clock.advance(TTL);
    const stale = await tags(house, 'a/b');
    expect([stale.json, stale.headers['cache-status']]).toEqual([
      { name: 'a/b', tags: TAGS },
      'entrepot; hit; ttl=0; detail=stale',
    ]);
    expect(stale.headers['warning']).toMatch(/^299 /);
    await tags(house, 'a/b');
    expect(hub.asked).toHaveLength(2);
    hub.say(() => 'hang');
    await house.clock.advance(10_000);
    const hanging = tags(house, 'a/b');
    await settle();
    await house.clock.advance(4_999);
    expect((await hanging).headers['cache-status']).toMatch(/detail=stale/);
    hub.say(() => trouble('hub'));
    await expect(tags(house, 'c/d')).rejects.toMatchObject({ status: 502 });
  });

  test('a list that may not be seen any more is not served stale', async () => {
    const hub = tagServer(true);
    const house = await createHouse({ chain: [hub] });
    await tags(house, 'a/b');
    await house.clock.advance(TTL);
    hub.say(() => ({ kind: 'denied' }));
    await expect(tags(house, 'a/b')).rejects.toMatchObject({ status: 403 });
  });

  test('[promise 5] metadata that are down cost no list', async () => {
    const house = await createHouse({ chain: [tagServer(true)] });
    house.metadata.setDown(true);
    expect((await tags(house, 'a/b')).json).toMatchObject({ tags: TAGS });
  });

  test.each(['[]', 'nonsense', `{"tags":["${'x'.repeat(4 * 1024 * 1024)}"]}`])(
    'what is no list is the upstream’s fault',
    async (text) => {
      const hub = createScriptedPort('hub', () => ({ bytes: Buffer.from(text) }));
      const house = await createHouse({ chain: [hub, tagServer(true)] });
      const trace = newTrace('1');
      expect((await tags(house, 'a/b', '', trace)).json).toMatchObject({ tags: TAGS });
      expect(trace.tried).toHaveLength(1);
      expect(hub.openBodies()).toBe(0);
    },
  );

  test('a route that denies, and a name without a route, ask nobody', async () => {
    const hub = tagServer(true);
    const house = await createHouse({ chain: [hub] });
    await expect(async () => tags(house, 'evil/x')).rejects.toMatchObject({ status: 403, code: 'DENIED' });
    // [P107]
    await expect(async () => tags(house, 'unknown.example/x')).rejects.toMatchObject({ status: 404, code: 'NAME_UNKNOWN' });
    expect(hub.asked).toHaveLength(0);
  });
});

describe('referrers', () => {
  const subject = randomBlob(10).digest;
  const entries = ['x/sig', 'x/sbom'].map((artifactType, at) => ({
    mediaType: MEDIA_TYPE.ociManifest,
    digest: randomBlob(5, at + 1).digest,
    size: 5,
    artifactType,
  }));
  const index = manifestBlob(MEDIA_TYPE.ociIndex, { manifests: entries });

  async function referrers(house: House, query = '', trace = newTrace('1')): Promise<Reply> {
    const { name } = house.parse(`/v2/a/b/tags/list?${query}`, undefined) as { name: Name };
    return house.lists.referrers(name, subject, new URLSearchParams(query), { trace });
  }

  test('[P94] the upstream’s own list, its filter and its link, which stays here', async () => {
    const hub = createScriptedPort('hub', () => ({
      bytes: index.bytes,
      filtersApplied: 'artifactType',
      next: { n: '1', last: 'z' },
    }));
    const house = await createHouse({ chain: [hub] });
    const reply = await referrers(house, 'artifactType=x/sig&ns=docker.io&other=1');
    expect(reply.headers).toMatchObject({
      'content-type': OCI_INDEX,
      'oci-filters-applied': 'artifactType',
      'oci-namespace': 'docker.io',
      link: `</v2/a/b/referrers/${subject}?n=1&last=z&ns=docker.io>; rel="next"`,
    });
    expect(hub.asked[0]!.query).toEqual({ artifactType: 'x/sig' });
    expect(jsonOf(reply)).toEqual(JSON.parse(index.bytes.toString()));
  });

  test('[P99] cached for the ttl, each artifactType for itself', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: index.bytes }));
    const house = await createHouse({ chain: [hub] });
    for (const query of ['', 'artifactType=x/sig', '', 'artifactType=x/sig']) await referrers(house, query);
    expect(hub.asked).toHaveLength(2);
    await house.clock.advance(TTL);
    await referrers(house);
    expect(hub.asked).toHaveLength(3);
  });

  test('[P96] [P97] where there is no such API the tag is read, filtered here, and said so', async () => {
    const hub = createScriptedPort('hub', ({ kind, reference }) =>
      kind === 'manifest' && reference === referrersTag(subject) ? { bytes: index.bytes, mediaType: index.mediaType } : ABSENT,
    );
    const house = await createHouse({ chain: [hub] });
    expect((jsonOf(await referrers(house)) as { manifests: unknown[] }).manifests).toHaveLength(2);
    const trace = newTrace('1');
    const reply = await referrers(house, 'artifactType=x/sig', trace);
    expect((jsonOf(reply) as { manifests: unknown[] }).manifests).toMatchObject([{ artifactType: 'x/sig' }]);
    expect(reply.headers['oci-filters-applied']).toBe('artifactType');
    // The record of the request is about a list, whatever was read on the way.
    expect([trace.type, trace.reference]).toEqual([undefined, subject]);
    expect(hub.asked.filter(({ kind }) => kind === 'manifest')).toHaveLength(1);
  });

  test('[P96] no tag either: an empty list, never that 404', async () => {
    const hub = createScriptedPort('hub', () => ABSENT);
    const house = await createHouse({ chain: [hub] });
    const reply = await referrers(house);
    expect([reply.status, jsonOf(reply)]).toEqual([200, { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }]);
    await referrers(house);
    expect(hub.asked).toHaveLength(2);
  });

  test('trouble is no empty list', async () => {
    const hub = createScriptedPort('hub', ({ kind }) => (kind === 'referrers' ? ABSENT : trouble('hub')));
    const house = await createHouse({ chain: [hub] });
    await expect(referrers(house)).rejects.toMatchObject({ status: 502 });
  });
});

describe('what is held', () => {
  async function holding(names: readonly string[]): Promise<House> {
    const house = await createHouse({ chain: [] });
    const { digest } = randomBlob(5);
    for (const name of names) await house.records.putLink(name, digest, { kind: 'blob', size: 5, by: 'upstream', at: 0 });
    return house;
  }
  const show = Object.assign(
    (holder: string): string | undefined =>
      holder.startsWith('docker.io/') ? holder.slice(10) : holder.startsWith('hidden/') ? undefined : holder,
    { home: 'docker.io' },
  );

  /** All pages, each with how many names were read for it. */
  async function walk(
    house: House,
    shown: ShowName,
    first: string,
  ): Promise<{ readonly names: string[][]; readonly links: string[]; readonly read: number[] }> {
    const [names, links, read]: [string[][], string[], number[]] = [[], [], []];
    const { repositories } = house.records;
    for (let query = first; names.length < 20;) {
      let count = 0;
      Object.assign(house.deps.records, {
        repositories: async (...asked: Parameters<typeof repositories>) => {
          const found = await repositories(...asked);
          count += found.length;
          return found;
        },
      });
      const reply = await house.lists.catalog(new URLSearchParams(query), shown, '/v2/_catalog');
      names.push((jsonOf(reply) as { repositories: string[] }).repositories);
      read.push(count);
      const link = reply.headers['link'];
      if (link === undefined) break;
      links.push(link);
      query = /\?(.*)>/.exec(link)![1]!;
    }
    return { names, links, read };
  }

  test('[P102] pages in the order of the names shown; the link stays where the request was', async () => {
    const house = await holding(['docker.io/library/a', 'ghcr.io/x', 'docker.io/z/z', 'hidden/y', 'docker.io/b/b']);
    const seen: string[] = [];
    let query = 'n=2&ns=docker.io';
    for (let page = 0; page < 5; page += 1) {
      const reply = await house.lists.catalog(new URLSearchParams(query), show, '/mirror/v2/_catalog');
      seen.push(...(jsonOf(reply) as { repositories: string[] }).repositories);
      const link = reply.headers['link'];
      if (link === undefined) break;
      const [, path, next] = /^<([^?]+)\?(.*)>; rel="next"$/.exec(link)!;
      expect([path, new URLSearchParams(next).get('ns')]).toEqual(['/mirror/v2/_catalog', 'docker.io']);
      query = next!;
    }
    expect(seen).toEqual(['b/b', 'ghcr.io/x', 'library/a', 'z/z']);
  });

  test('what is at home is laid into the rest in the order of what is shown, wherever a page ends', async () => {
    const own = ['docker.io/a', 'docker.io/docker.io', 'docker.io/m/n', 'docker.io/z'];
    const rest = ['a.test/x', 'docker.io-a/x', 'docker.io.test/x', 'docker.io0/x', 'docker.net/x', 'z.test/x', 'b.test/y'];
    const house = await holding([...own, ...rest]);
    const expected = [...own.map((name) => name.slice(10)), ...rest].sort();
    for (const n of [1, 2, 3, 5, 100]) {
      const { names } = await walk(house, show, `n=${n}`);
      expect(names.flat()).toEqual(expected);
      expect(names.slice(0, -1).every((page) => page.length === n)).toBe(true);
    }
    for (const last of expected) {
      const { names } = await walk(house, show, `n=3&last=${encodeURIComponent(last)}`);
      expect(names.flat()).toEqual(expected.slice(expected.indexOf(last) + 1));
    }
    const { home: _, ...nowhere } = show;
    const everything = Object.assign((holder: string) => holder, nowhere);
    expect((await walk(house, everything, 'n=4')).names.flat()).toEqual([...own, ...rest].sort());
  });

  test('[S36] who sees next to nothing is answered after a thousand names, and told none of them', async () => {
    const secrets = Array.from({ length: 2500 }, (_, at) => `docker.io/secret/n${String(at).padStart(4, '0')}`);
    const house = await holding([...secrets, 'docker.io/zoo/app']);
    const shown = Object.assign((holder: string) => (holder.endsWith('zoo/app') ? 'zoo/app' : undefined), {
      home: 'docker.io',
    });
    const { names, links, read } = await walk(house, shown, 'n=10');
    expect(names).toEqual([[], [], ['zoo/app']]);
    for (const count of read) expect(count).toBeLessThanOrEqual(1200);
    for (const link of links) {
      const last = new URLSearchParams(/\?(.*)>/.exec(link)![1]).get('last')!;
      expect(last).toMatch(/^~[\w-]+$/);
      expect(Buffer.from(last.slice(1), 'base64url').toString('latin1')).not.toMatch(/secret|n\d{4}/);
      const made = `${last.slice(0, -3)}${last.endsWith('AAA') ? 'BBB' : 'AAA'}`;
      for (const odd of [made, '~', '~AAAA'])
        await expect(house.lists.catalog(new URLSearchParams({ last: odd }), shown, '/v2/_catalog')).rejects.toMatchObject({
          status: 400,
          code: 'PAGINATION_NUMBER_INVALID',
        });
    }
    // Another process of the same mirror goes on there.
    const other = await createHouse({ chain: [], metadata: house.metadata, process: 1 });
    const next = /\?(.*)>/.exec(links[1]!)![1]!;
    expect(jsonOf(await other.lists.catalog(new URLSearchParams(next), shown, '/v2/_catalog'))).toEqual({
      repositories: ['zoo/app'],
    });
  });

  test('n=0 of the catalogue is empty', async () => {
    const house = await holding(['docker.io/library/a']);
    const reply = await house.lists.catalog(new URLSearchParams('n=0'), show, '/v2/_catalog');
    expect([jsonOf(reply), reply.headers['link']]).toEqual([{ repositories: [] }, undefined]);
  });

  test('[P101] search finds by a part of the name shown, at most a hundred', async () => {
    const names = Array.from({ length: 150 }, (_, at) => `docker.io/tool/t${at}`);
    const house = await holding([...names, 'hidden/tool']);
    const reply = await house.lists.search(new URLSearchParams('q=TOOL&n=1000'), show);
    expect(jsonOf(reply)).toMatchObject({ num_results: 100, query: 'tool' });
    expect(jsonOf(await house.lists.search(new URLSearchParams('q=t149'), show))).toMatchObject({
      results: [{ name: 'tool/t149' }],
    });
  });
});
