import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { keep, parsedDuring, requestOf, type Came, type Kept } from './again.ts';
import { command } from './command.ts';
import { scenario, times, type Stage } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { basic, writeUsers } from './people.ts';
import { routesTo, type Settings } from './settings.ts';

const blob = randomBlob(5000);
const OWN = { settings: null };

/** An image whose manifest and whose small blob are held, and a connection. */
async function held(stage: Stage, more: Settings = {}) {
  const { upstream } = stage;
  const image = upstream.image(ALPINE, 'latest');
  upstream.blob(ALPINE, blob);
  const storage = { filesystem: { rootdirectory: `${stage.directory}/data` }, delete: { enabled: true } };
  const settings = { ...routesTo(upstream), storage, ...more };
  const server = await stage.start(settings);
  for (const path of [manifestPath('latest'), blobPath(blob)]) await (await server.get(path)).bytes();
  await server.settled();
  upstream.forget();
  return { image, server, settings, kept: await keep(stage, server.url) };
}

const tag = requestOf('GET', manifestPath('latest'));
const small = requestOf('GET', blobPath(blob));

describe('requests that come again', () => {
  scenario(
    'are answered as they were: byte for byte, but for the date, the id and the ttl',
    async (stage) => {
      const http = { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0' }, headers: { 'X-Two': ['a', 'b'], Etag: ['none'] } };
      const { image, kept } = await held(stage, { http });
      const paths = [manifestPath('latest'), manifestPath(image.top.digest), blobPath(blob)];
      const spelt = [...paths, `/v2/alpine/manifests/latest`, `/v2/${ALPINE}/blobs/${blob.digest}?ns=docker.io`];
      const fields = [
        ['Accept: application/vnd.oci.image.index.v1+json, */*'],
        ['Accept-Encoding: gzip', 'Connection: keep-alive'],
        [],
      ];
      for (const path of spelt)
        for (const method of ['GET', 'HEAD'])
          for (const more of fields) {
            const text = requestOf(method, path, more);
            const first = await kept.ask(text);
            expect(first.head).toContain('entrepot; hit');
            expect(await kept.askAgain(text)).toEqual(first);
          }
      expect(stage.upstream.requests).toEqual([]);
    },
    OWN,
  );

  scenario(
    'are counted and logged as they were',
    async (stage) => {
      const { server, kept } = await held(stage);
      for (const text of [tag, small]) await kept.askAgain(text);
      const before = await server.metrics();
      const logged = server.records.length;
      expect(await parsedDuring(() => inTurn(kept, 10, tag))).toBe(0);
      expect(await parsedDuring(() => inTurn(kept, 5, small))).toBe(0);
      const after = await server.metrics();
      const more = (name: string, labels = {}): number => after.sum(name, labels) - before.sum(name, labels);
      expect(more('entrepot_requests_total', { type: 'manifest', outcome: 'hit', route: 'hub' })).toBe(10);
      expect(more('entrepot_requests_total', { type: 'blob', outcome: 'hit' })).toBe(5);
      expect(more('registry_http_requests_total', { handler: 'blob', code: '200', method: 'get' })).toBe(5);
      expect(more('entrepot_response_bytes_total', { type: 'blob' })).toBe(5 * blob.bytes.length);
      expect(more('registry_proxy_hits_total')).toBe(15);
      expect(after.sum('registry_http_in_flight_requests', { handler: 'manifest' })).toBe(0);
      const requests = server.records.filter(({ msg }) => msg === 'request');
      const [ordinary, again] = [requests.find(({ path }) => path === blobPath(blob)), server.records.slice(logged).at(-3)];
      expect(Object.keys(again ?? {})).toEqual(Object.keys(ordinary ?? {}));
      const { client, client_kind, digest, bytes, size, outcome, aborted, user } = requests.findLast(
        ({ type }) => type === 'blob',
      )!;
      expect({ client, client_kind, digest, bytes, size, outcome, aborted, user }).toEqual({
        client: '127.0.0.1',
        client_kind: 'containerd',
        digest: blob.digest,
        bytes: 5000,
        size: 5000,
        outcome: 'hit',
        aborted: false,
        user: null,
      });
      expect(new Set(requests.map(({ request_id }) => request_id)).size).toBe(requests.length);
    },
    OWN,
  );

  scenario(
    'are told who is asked for what is deleted, by the next one',
    async (stage) => {
      const { image, server, kept } = await held(stage);
      const byDigest = requestOf('GET', manifestPath(image.top.digest));
      for (const [text, path, question] of [
        [tag, manifestPath('latest'), 'manifest'],
        [byDigest, manifestPath(image.top.digest), 'manifest'],
        [small, blobPath(blob), 'blob'],
      ] as const) {
        await kept.askAgain(text);
        expect((await server.get(path, { method: 'DELETE' })).status).toBe(202);
        stage.upstream.forget();
        await kept.ask(text);
        expect(stage.upstream.hits(question)).toBeGreaterThan(0);
      }
    },
    OWN,
  );

  scenario(
    'are not answered with what was evicted by name',
    async (stage) => {
      const { kept, directory } = { ...(await held(stage)), directory: stage.directory };
      for (const text of [tag, small]) await kept.askAgain(text);
      const ran = await command(`${directory}/data`, ['evict', 'docker.io/library/alpine', '--config', 'config.yml']);
      expect(ran).toMatchObject({ code: 0 });
      stage.upstream.forget();
      expect((await kept.ask(tag)).head).toContain('fwd=miss');
      expect((await kept.ask(small)).head).not.toContain('; hit');
    },
    OWN,
  );

  scenario(
    'are not answered with what another process deleted',
    async (stage) => {
      const { settings, kept } = await held(stage);
      const other = await stage.startProcess(settings);
      await kept.askAgain(tag);
      expect((await other.get(manifestPath('latest'), { method: 'DELETE' })).status).toBe(202);
      expect((await kept.ask(tag)).head).toContain('fwd=miss');
      expect(stage.upstream.hits('GET manifest')).toBe(1);
    },
    OWN,
  );

  scenario(
    'obey rules and routes as the reload before them has them',
    async (stage) => {
      const auth = { htpasswd: { realm: 'test', path: await writeUsers(stage, 'ann') } };
      const rules = (...pull: string[]): Settings => ({
        auth,
        names: { open: ['mirror.test'] },
        access: [{ match: '**', pull }],
      });
      const { server, settings, kept } = await held(stage, rules('anyone'));
      for (const text of [tag, small]) await kept.askAgain(text);
      await server.reload({ ...settings, ...rules('user:ann') });
      for (const text of [tag, small]) expect((await kept.ask(text)).status).toBe(404);
      await server.reload(settings);
      await kept.askAgain(tag);
      await server.reload({ ...settings, routes: [{ match: 'docker.io/**', deny: true }] });
      expect((await kept.ask(tag)).status).toBe(403);
    },
    OWN,
  );

  scenario(
    'count for the limits of their address',
    async (stage) => {
      const { server, settings, kept } = await held(stage);
      await server.reload({ ...settings, limits: { address: { rate: '1/h', burst: 20 } } });
      const statuses: number[] = [];
      const parsed = await parsedDuring(async () => {
        for (const _ of times(25, () => 1)) statuses.push((await kept.ask(tag)).status);
      });
      expect(statuses).toEqual([...times(20, () => 200), ...times(5, () => 429)]);
      expect(parsed).toBeLessThan(10);
    },
    OWN,
  );

  scenario(
    'are read where they say more than what is wanted, or somebody else speaks for the client',
    async (stage) => {
      const { server, settings, kept } = await held(stage);
      const says = (...fields: string[]) => requestOf('GET', manifestPath('latest'), fields);
      for (const field of [
        `Authorization: ${basic('ann')}`,
        'X-Request-Id: mine',
        'X-Forwarded-For: 192.0.2.1',
        'Via: 1.1 somebody',
        'If-None-Match: "x"',
        'Range: bytes=0-1',
        'Cookie: a=b',
        'Accept: a/b\r\nAccept: c/d',
      ])
        expect(await parsedDuring(() => inTurn(kept, 4, says(field)))).toBe(4);
      await kept.askAgain(tag);
      const trusting = { addr: '127.0.0.1:0', trustedproxies: ['127.0.0.1'], debug: { addr: '127.0.0.1:0' } };
      await server.reload({ ...settings, http: trusting });
      expect(await parsedDuring(() => inTurn(kept, 4, tag))).toBe(4);
    },
    OWN,
  );

  scenario(
    'are not kept from ending: a server that drains closes behind them',
    async (stage) => {
      const { server, kept } = await held(stage);
      await kept.askAgain(tag);
      await server.stop();
      await expect(kept.ask(tag)).rejects.toThrow('closed');
    },
    OWN,
  );
});

async function inTurn(kept: Kept, count: number, text: string): Promise<readonly Came[]> {
  const all: Came[] = [];
  for (let turn = 0; turn < count; turn += 1) all.push(await kept.ask(text));
  return all;
}
