import { describe, expect, test } from 'vitest';
import { ROUTES } from '../../src/http/app.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { GetOptions, Reply } from '../fakes/http-client.ts';
import type { Image } from '../fakes/images.ts';
import { scenario } from './harness.ts';
import { pullAll, scannerOf } from './judged.ts';
import { ALPINE, manifestPath } from './paths.ts';
import { routesTo, type Settings } from './settings.ts';

const own = { settings: null };

/** One way to ask for something of an image; what it may be answered with besides a refusal. */
interface Way {
  readonly path: string;
  readonly options?: GetOptions;
  /** It tells of names alone. */
  readonly list?: true;
}

const LONG_AGO = '2026-01-01';

/** Every endpoint that reads, by the name of its line in the table of routes, in every spelling of a name. */
const WAYS: Readonly<Record<string, (image: Image) => readonly Way[]>> = {
  manifest: ({ top, manifests }) =>
    spellings((base) =>
      ['bad', top.digest, ...manifests.map(({ digest }) => digest)].flatMap((reference) => [
        { path: `${base}/manifests/${reference}` },
        { path: `${base}/manifests/${reference}`, options: { method: 'HEAD' } },
        { path: `${base}/manifests/${reference}`, options: { headers: { 'if-none-match': `"${top.digest}"` } } },
      ]),
    ),
  blob: ({ top, manifests, configs, layers }) =>
    spellings((base) =>
      [top, ...manifests, ...configs, ...layers].flatMap(({ digest }) => [
        { path: `${base}/blobs/${digest}` },
        { path: `${base}/blobs/${digest}`, options: { method: 'HEAD' } },
        { path: `${base}/blobs/${digest}`, options: { headers: { range: 'bytes=0-9' } } },
        { path: `${base}/blobs/${digest}`, options: { headers: { range: 'bytes=0-4,6-9' } } },
        { path: `${base}/blobs/${digest}`, options: { headers: { 'if-none-match': `"${digest}"` } } },
      ]),
    ),
  tags: () => [{ path: `/v2/docker.io/${ALPINE}/tags/list`, list: true }],
  referrers: ({ top }) => [{ path: `/v2/docker.io/${ALPINE}/referrers/${top.digest}`, list: true }],
  catalog: () => [{ path: '/v2/_catalog', list: true }],
  search: () => [{ path: '/v1/search?q=alpine', list: true }],
  upload: ({ layers, configs }) =>
    [...layers, ...configs].flatMap(({ digest }) =>
      ['', `&from=docker.io/${ALPINE}`].map((from) => ({
        path: `/v2/free/app/blobs/uploads/?mount=${digest}${from}`,
        options: { method: 'POST', headers: { 'content-length': '0' } },
      })),
    ),
};

/** They read nothing that anybody has stored. */
const OF_NO_CONTENT: ReadonlySet<string> = new Set(['base', 'ping', 'token', 'client', 'livez', 'readyz']);

function spellings(ways: (base: string) => readonly Way[]): readonly Way[] {
  const nonce = 'a'.repeat(32);
  const bases = [
    `/v2/docker.io/${ALPINE}`,
    '/v2/alpine',
    `/docker.io/v2/${ALPINE}`,
    `/asof/${LONG_AGO}/v2/${ALPINE}`,
    `/v2/asof/${LONG_AGO}/${ALPINE}`,
    `/v2/admission/${nonce}/docker.io/${ALPINE}`,
  ];
  return bases.flatMap((base) => ways(base));
}

test('every endpoint that reads content is in this table', () => {
  const named = new Set<string>(ROUTES.map(({ name }) => name));
  for (const name of OF_NO_CONTENT) named.delete(name);
  expect([...named].toSorted()).toEqual(Object.keys(WAYS).toSorted());
});

/** Whether any of the image is in the answer: of content its first bytes are enough, in a list it would have to be all of one. */
async function gives(reply: Reply, image: Image, isList: boolean): Promise<boolean> {
  const body = await reply.bytes();
  const all = [image.top, ...image.manifests, ...image.configs, ...image.layers];
  return all.some(({ bytes }) => body.includes(isList ? bytes : bytes.subarray(0, 10)));
}

interface State {
  readonly what: string;
  readonly held: boolean;
  readonly down: boolean;
  readonly more: Settings;
  readonly rules: readonly ('admit' | 'allow')[];
}

const STATES: readonly State[] = [
  { what: 'not held', held: false, down: false, more: {}, rules: ['admit'] },
  { what: 'held', held: true, down: false, more: {}, rules: ['admit', 'allow'] },
  {
    what: 'held and stale, with the upstream down',
    held: true,
    down: true,
    more: { defaults: { tagttl: '1ms' } },
    rules: ['admit'],
  },
  { what: 'held, offline', held: true, down: false, more: { offline: true }, rules: ['admit'] },
];

describe('content that is refused', () => {
  for (const { what, held, down, more, rules } of STATES)
    for (const rule of rules)
      scenario(
        `by ${rule} is had by no endpoint in no spelling: ${what}`,
        async (stage) => {
          const { upstream } = stage;
          const scanner = await scannerOf(stage);
          const platforms = rule === 'allow' ? { platforms: ['linux/amd64'] } : {};
          const image = upstream.image(ALPINE, 'bad', { label: 'bad', layers: [1001, 1002], ...platforms });
          scanner.answers(() => ({ allow: false, reason: 'no' }));
          const policy = rule === 'admit' ? { admit: { url: scanner.url } } : { digests: { allow: digestOf(Buffer.from('')) } };
          const routed = (policy: Settings): Settings => {
            const { routes, ...rest } = routesTo(upstream, policy) as { routes: readonly Settings[] };
            return { ...rest, routes: [{ match: 'docker.io/free/*', upstreams: ['hosted'] }, ...routes] };
          };
          const server = await stage.start(routed({}));
          if (held) expect(await pullAll(server, image, 'bad')).toEqual(expect.not.arrayContaining([403, 404, 503]));
          await server.settled();
          await server.reload({ ...routed(policy), ...more });
          if (down) await upstream.down();
          const fills = upstream.hits('GET blob');
          const ask = async ([name, way]: readonly [string, Way]): Promise<readonly string[]> => {
            const { path, options, list = false } = way;
            const reply = await server.get(path, options);
            const isServed = reply.status < 400 && !list && !(name === 'upload' && reply.status === 202);
            return isServed || (await gives(reply, image, list))
              ? [`${options?.method ?? 'GET'} ${path}: ${reply.status}`]
              : [];
          };
          const all = Object.entries(WAYS).flatMap(([name, ways]) => ways(image).map((way) => [name, way] as const));
          expect((await Promise.all(all.map(ask))).flat()).toEqual([]);
          expect(upstream.hits('GET blob')).toBe(fills);
          expect((await server.get(manifestPath('bad'))).status).toBe(403);
        },
        own,
      );
});
