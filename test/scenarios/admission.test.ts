import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { remoteAdmin } from '../../src/commands/remote-admin.ts';
import { buildImage } from '../fakes/images.ts';
import { createHttpClient } from '../fakes/http-client.ts';
import type { Asked, ScannerScript } from '../fakes/scripted-scanner.ts';
import { until } from './acceptance.ts';
import { scenario, times } from './harness.ts';
import { pullAll, refused, scannerOf } from './judged.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { basic, sending, writeUsers } from './people.ts';
import { pushImage } from './push.ts';
import { routesTo } from './settings.ts';

const own = { settings: null };

describe('digests', () => {
  scenario(
    'what is denied is served nowhere, by no name of it; all else is',
    async (stage) => {
      const { upstream } = stage;
      const bad = upstream.image(ALPINE, 'bad', { label: 'bad', layers: [1001] });
      const good = upstream.image(ALPINE, 'good', { label: 'good', layers: [1002] });
      const server = await stage.start(routesTo(upstream, { digests: { deny: [bad.top.digest, bad.layers[0]!.digest] } }));
      for (const reference of ['bad', bad.top.digest])
        expect(await refused(await server.get(manifestPath(reference)))).toEqual([
          '403 DENIED',
          `docker.io/${ALPINE}@${bad.top.digest}: refused by digests: it is on the list of what is never served (digests.deny)`,
        ]);
      expect((await server.head(manifestPath('bad'))).status).toBe(403);
      expect((await server.get(blobPath(bad.layers[0]!))).status).toBe(403);
      expect(upstream.hits('GET blob')).toBe(0);
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200]);
      expect((await server.metrics()).sum('entrepot_denied_total', { action: 'pull', reason: 'digests' })).toBe(4);
    },
    own,
  );

  scenario(
    'only what is allowed is served, and what it names: of an index its children and their layers',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { layers: [1001], platforms: ['linux/amd64', 'linux/arm64'] });
      const other = upstream.image(ALPINE, 'other', { label: 'other', layers: [1002] });
      const server = await stage.start(routesTo(upstream, { digests: { allow: good.top.digest } }));
      expect((await server.get(blobPath(good.layers[0]!))).status).toBe(403);
      expect((await server.get(manifestPath(good.manifests[0]!.digest))).status).toBe(403);
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200, 200, 200, 200]);
      expect(await pullAll(server, other, 'other')).toEqual([403, 403, 403]);
      await upstream.down();
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200, 200, 200, 200]);
      expect(await pullAll(server, other, 'other')).toEqual([403, 403, 403]);
    },
    own,
  );
});

describe('admit', () => {
  scenario(
    'a scanner is asked once for each manifest, however many ask, and its verdict outlives a restart',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const good = upstream.image(ALPINE, 'good', { label: 'good', layers: [1001] });
      const bad = upstream.image(ALPINE, 'bad', { label: 'bad', layers: [1002] });
      scanner.answers(({ digest }) =>
        digest === bad.top.digest ? { allow: false, reason: 'CVE-2026-1 in\u0007 openssl' } : { allow: true },
      );
      const settings = routesTo(upstream, { admit: { url: scanner.url } });
      const server = await stage.start(settings);
      const replies = await Promise.all(times(10, () => server.get(manifestPath('good'))));
      expect(replies.map(({ status }) => status)).toEqual(times(10, () => 200));
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200]);
      expect(await pullAll(server, bad, 'bad')).toEqual([403, 403, 403]);
      const [status, message] = await refused(await server.get(manifestPath('bad')));
      expect([status, message]).toEqual([
        '403 DENIED',
        `docker.io/${ALPINE}@${bad.top.digest}: refused by admit: CVE-2026-1 in openssl`,
      ]);
      expect(scanner.asked.map(({ digest }) => digest)).toEqual([good.top.digest, bad.top.digest]);
      await server.stop();
      await scanner.down();
      await upstream.down();
      const again = await stage.start(settings);
      expect(await pullAll(again, good, 'good')).toEqual([200, 200, 200]);
      expect(await pullAll(again, bad, 'bad')).toEqual([403, 403, 403]);
    },
    own,
  );

  scenario(
    'whoever is asked has the image by the name that the question tells, and nobody else by any; until the question ends',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const image = upstream.image(ALPINE, '3', { label: 'asked', layers: [1001] });
      const other = upstream.image(ALPINE, '4', { label: 'other', layers: [1002] });
      const seen: [string, number][] = [];
      const server = await stage.start(routesTo(upstream, { admit: { url: scanner.url } }));
      let names: readonly string[] = [];
      scanner.answers(async ({ pull, image: name, digest }) => {
        const base = new URL(pull).pathname.replace(/\/manifests\/.*$/, '');
        expect(pull).toBe(`${server.url}${base}/manifests/${digest}`);
        expect(name).toBe(`${new URL(server.url).host}${base.slice('/v2'.length)}@${digest}`);
        names = [
          `/manifests/${image.top.digest}`,
          `/blobs/${image.config.digest}`,
          `/blobs/${image.layers[0]!.digest}`,
          `/manifests/3`,
          `/manifests/${other.top.digest}`,
          `/blobs/${other.config.digest}`,
          `/tags/list`,
          `/referrers/${image.top.digest}`,
        ].map((end) => `${base}${end}`);
        for (const path of names) {
          const reply = await createHttpClient(server.url).get(path);
          await reply.bytes();
          seen.push([path.slice(base.length), reply.status]);
        }
        const writes = await server.get(`${base}/manifests/${image.top.digest}`, { method: 'PUT', body: '{}' });
        seen.push(['PUT', writes.status]);
        // Nobody else has any of it meanwhile.
        for (const path of [blobPath(image.config), blobPath(image.layers[0]!)])
          seen.push([path, (await server.get(path)).status]);
        return { allow: true };
      });
      expect((await server.get(manifestPath('3'))).status).toBe(200);
      expect(seen.map(([, status]) => status)).toEqual([200, 200, 200, 404, 404, 404, 404, 404, 405, 403, 403]);
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      for (const path of names) expect([path, (await server.get(path)).status]).toEqual([path, 404]);
      expect([scanner.asked.length, upstream.hits('GET blob')]).toEqual([1, 2]);
      const [asked] = scanner.asked;
      expect(asked).toEqual({
        registry: 'docker.io',
        repository: ALPINE,
        tag: '3',
        digest: image.top.digest,
        mediaType: image.top.mediaType,
        reference: `docker.io/${ALPINE}@${image.top.digest}`,
        pull: asked!.pull,
        image: asked!.image!,
        manifest: JSON.parse(image.top.bytes.toString()) as unknown,
      } satisfies Asked);
    },
    own,
  );

  scenario(
    'who may pull holds for whoever is asked, too',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      upstream.image(ALPINE, '3');
      const server = await stage.start({
        ...routesTo(upstream, { admit: { url: scanner.url } }),
        auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'trivy', 'eve') } },
        access: [{ match: '**', pull: ['user:ann', 'user:trivy'] }],
      });
      const statuses: number[] = [];
      scanner.answers(async ({ pull }) => {
        const path = new URL(pull).pathname;
        for (const who of [undefined, basic('eve'), basic('trivy')])
          statuses.push((await sending(server, who).get(path)).status);
        return { allow: true };
      });
      expect((await sending(server, basic('ann')).get(manifestPath('3'))).status).toBe(200);
      expect(statuses).toEqual([401, 404, 200]);
    },
    own,
  );

  scenario(
    'an index passes unasked, and each of its children is asked about: a layer that both have comes with the one that is let in',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const image = upstream.image(ALPINE, '3', { layers: [1001], platforms: ['linux/amd64', 'linux/arm64'] });
      const [amd, arm] = image.manifests;
      scanner.answers(({ digest }) => ({ allow: digest === arm!.digest, reason: 'amd64 is bad' }));
      const server = await stage.start(routesTo(upstream, { admit: { url: scanner.url } }));
      expect((await server.get(manifestPath('3'))).status).toBe(200);
      expect(scanner.asked).toEqual([]);
      expect((await server.get(manifestPath(amd!.digest))).status).toBe(403);
      const statuses = async (): Promise<number[]> =>
        Promise.all([...image.configs, ...image.layers].map(async (blob) => (await server.get(blobPath(blob))).status));
      expect(await statuses()).toEqual([403, 403, 403]);
      expect((await server.get(manifestPath(arm!.digest))).status).toBe(200);
      expect(await statuses()).toEqual([403, 200, 200]);
      expect(scanner.asked.map(({ digest }) => digest)).toEqual([amd!.digest, arm!.digest]);
    },
    own,
  );

  scenario(
    'a client that leaves ends no question: its verdict serves who comes later',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const image = upstream.image(ALPINE, '3');
      let answer: (verdict: unknown) => void = () => undefined;
      scanner.answers(() => new Promise((resolve) => (answer = resolve)));
      const server = await stage.start(routesTo(upstream, { admit: { url: scanner.url } }));
      const leaving = new AbortController();
      const left = server.get(manifestPath('3'), { signal: leaving.signal }).catch((error: Error) => error.name);
      await scanner.received(1);
      leaving.abort();
      expect(await left).toBe('AbortError');
      const waits = server.get(manifestPath(image.top.digest));
      answer({ allow: true });
      expect((await waits).status).toBe(200);
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      expect(scanner.asked.length).toBe(1);
    },
    own,
  );

  const wrong: readonly (readonly [string, ScannerScript, string])[] = [
    [
      'a status that is none of success',
      (_, out) => void out.writeHead(500).end('{"allow":true}'),
      'it answered with status 500',
    ],
    [
      'a redirect',
      (_, out) => void out.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'it answered with status 302',
    ],
    ['no content', (_, out) => void out.writeHead(204).end(), 'it answered with status 204'],
    ['text', (_, out) => void out.end('allow'), 'its answer is no verdict: it is not JSON'],
    ['a list', () => [{ allow: true }], 'its answer is no verdict: it is not a JSON object'],
    ['a word for a verdict', () => ({ allow: 'true' }), 'its answer is no verdict: "allow" is neither true nor false'],
    ['nothing said', () => ({}), 'its answer is no verdict: "allow" is neither true nor false'],
    ['a reason that is no text', () => ({ allow: true, reason: { a: 1 } }), 'its answer is no verdict: "reason" is no text'],
    ['more than anybody reads', () => ({ allow: true, reason: 'x'.repeat(70_000) }), 'it could not be asked'],
    [
      'what nests deep',
      (_, out) => void out.end(`{"allow":true,"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`),
      'its answer is no verdict: it nests deeper than 64 levels',
    ],
    ['a connection that breaks', (_, out) => void out.destroy(), 'it could not be asked (ECONNRESET)'],
    [
      'half an answer',
      (_, out) => {
        out.writeHead(200, { 'content-length': '100' }).write('{"allow":true}');
        setImmediate(() => out.destroy());
      },
      'it could not be asked (ECONNRESET)',
    ],
    ['silence', () => undefined, 'it gave no answer within 1 s'],
  ];
  scenario(
    'what is no verdict refuses for now: told, not remembered, and said once in the log',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const image = upstream.image(ALPINE, '3');
      const server = await stage.start(routesTo(upstream, { admit: { url: scanner.url, timeout: '1s' } }));
      for (const [what, script, why] of wrong) {
        scanner.answers(script);
        const reply = await server.get(manifestPath('3'));
        const [status, message] = await refused(reply);
        expect([what, status, message, reply.headers['retry-after']]).toEqual([
          what,
          '503 UNAVAILABLE',
          `docker.io/${ALPINE}@${image.top.digest}: admit could not tell whether it may be let in: ${why}`,
          '15',
        ]);
        expect((await server.get(blobPath(image.config))).status).toBe(403);
      }
      await scanner.down();
      expect((await refused(await server.get(manifestPath('3'))))[1]).toMatch(/it could not be asked \(ECONNREFUSED\)$/);
      expect((await server.metrics()).sum('entrepot_degraded', { reason: 'admit' })).toBe(1);
      await scanner.up();
      scanner.answers(() => ({ allow: true }));
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      expect(server.records.filter(({ msg }) => msg.startsWith('judge')).map(({ msg }) => msg)).toEqual([
        'judge down',
        'judge up',
      ]);
      expect((await server.metrics()).sum('entrepot_degraded', { reason: 'admit' })).toBe(0);
    },
    own,
  );

  scenario(
    'with onerror: allow nobody waits for a scanner that is down, and it is not asked by every request',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const image = upstream.image(ALPINE, '3', { label: 'one', layers: [1001] });
      const other = upstream.image(ALPINE, '4', { label: 'two', layers: [1002] });
      scanner.answers((_, out) => void out.writeHead(500).end());
      const settings = routesTo(upstream, { admit: { url: scanner.url, onerror: 'allow' } });
      const server = await stage.start(settings);
      for (let pull = 0; pull < 3; pull += 1) expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      expect(scanner.asked.length).toBe(1);
      expect(await pullAll(server, other, '4')).toEqual([200, 200, 200]);
      expect(scanner.asked.length).toBe(2);
      expect(server.records.filter(({ msg }) => msg === 'let in unjudged').length).toBe(1);
      // A word counts, also for what was let in without one.
      scanner.answers(({ digest }) => ({ allow: digest !== image.top.digest }));
      const admin = remoteAdmin(join(stage.directory, 'data', 'entrepot.sock'));
      expect((await admin.release('alpine:3')).forgotten).toBe(1);
      expect(await pullAll(server, image, '3')).toEqual([403, 403, 403]);
      expect(await pullAll(server, other, '4')).toEqual([200, 200, 200]);
    },
    own,
  );

  scenario(
    'another scanner is asked anew, and until it has said so no layer is served; the first one’s word still stands under its rules',
    async (stage) => {
      const { upstream } = stage;
      const [first, second] = [await scannerOf(stage), await scannerOf(stage)];
      const image = upstream.image(ALPINE, '3');
      const by = ({ url }: { readonly url: string }, more = {}) => routesTo(upstream, { admit: { url, ...more } });
      const server = await stage.start(by(first));
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      await server.reload(by(first, { timeout: '3m', onerror: 'allow' }));
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      await server.reload(by(second));
      expect((await server.get(blobPath(image.config))).status).toBe(403);
      second.answers(() => ({ allow: false, reason: 'no' }));
      expect(await pullAll(server, image, '3')).toEqual([403, 403, 403]);
      await server.reload(by(first));
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      await server.reload(routesTo(upstream));
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      expect([first.asked.length, second.asked.length]).toEqual([1, 1]);
    },
    own,
  );

  scenario(
    'what was pushed here is judged when it is pulled; who pushes is told by HEAD what is here, and nothing is mounted out of it',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const app = buildImage({ label: 'pushed', layers: [1001] });
      const fixed = buildImage({ label: 'fixed', layers: [1001, 1002] });
      const writes: number[] = [];
      scanner.answers(async ({ digest, pull }) => {
        const base = new URL(pull).pathname;
        for (const [method, path] of [
          ['PUT', base],
          ['PUT', base.replace(/[^/]*$/, '2')],
          ['DELETE', base],
          ['POST', base.replace(/manifests\/.*$/, 'blobs/uploads/')],
        ] as const) {
          const headers = { 'content-type': app.top.mediaType, 'content-length': String(app.top.size) };
          writes.push((await server.get(path, { method, headers, body: app.top.bytes })).status);
        }
        return { allow: digest === fixed.top.digest, reason: 'no' };
      });
      const server = await stage.start({
        storage: { filesystem: { rootdirectory: `${stage.directory}/data` }, delete: { enabled: true } },
        upstreams: { hub: { url: upstream.url } },
        routes: [
          { match: 'docker.io/corp/*', upstreams: ['hosted', 'hub'], push: true, shadow: true, admit: { url: scanner.url } },
          { match: 'docker.io/**', upstreams: ['hosted', 'hub'], push: true, shadow: true },
        ],
      });
      const corp = '/v2/docker.io/corp/app';
      expect((await pushImage(server, corp, '1', app)).status).toBe(201);
      expect(scanner.asked).toEqual([]);
      const [layer] = app.layers;
      const mount = async (): Promise<number> =>
        (
          await server.get(`/v2/docker.io/free/app/blobs/uploads/?mount=${layer!.digest}&from=docker.io/corp/app`, {
            method: 'POST',
            headers: { 'content-length': '0' },
          })
        ).status;
      const byDigest = async (): Promise<number> =>
        (
          await server.get(`/v2/docker.io/free/app/blobs/uploads/?mount=${layer!.digest}`, {
            method: 'POST',
            headers: { 'content-length': '0' },
          })
        ).status;
      for (let pull = 0; pull < 2; pull += 1) {
        expect([await mount(), await byDigest()]).toEqual([202, 202]);
        expect((await server.get(`${corp}/blobs/${layer!.digest}`)).status).toBe(403);
        expect((await server.head(`${corp}/blobs/${layer!.digest}`)).status).toBe(200);
        expect((await server.head(`${corp}/manifests/1`)).status).toBe(200);
        expect((await server.get(`${corp}/manifests/1`)).status).toBe(403);
      }
      expect(scanner.asked.length).toBe(1);
      expect(writes).toEqual([405, 405, 405, 404]);
      // Pushed over what was refused.
      expect((await pushImage(server, corp, '1', fixed)).status).toBe(201);
      expect((await server.get(`${corp}/manifests/1`)).status).toBe(200);
      expect((await server.get(`${corp}/blobs/${layer!.digest}`)).status).toBe(200);
      expect([await mount(), await byDigest()]).toEqual([201, 201]);
      // What is mirrored there is judged by HEAD too.
      upstream.image('corp/mirrored', '1');
      expect((await server.head('/v2/docker.io/corp/mirrored/manifests/1')).status).toBe(403);
    },
    own,
  );

  scenario(
    'a scanner that several routes ask has eight questions at once from all of them together, also over a reload',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const open: ((verdict: unknown) => void)[] = [];
      scanner.answers(() => new Promise((resolve) => open.push(resolve)));
      const admit = { url: scanner.url };
      const settings = {
        upstreams: { hub: { url: upstream.url } },
        routes: ['a', 'b'].map((name) => ({ match: `docker.io/${name}/*`, name, upstreams: ['hub'], admit })),
      };
      const names = times(12, (at) => `${at % 2 === 0 ? 'a' : 'b'}/${at}`);
      for (const [at, name] of names.entries()) upstream.image(name, '1', { label: name, layers: [1000 + at] });
      const server = await stage.start(settings);
      const pulls = names.slice(0, 10).map((name) => server.get(`/v2/docker.io/${name}/manifests/1`));
      await scanner.received(8);
      await server.reload({ ...settings, log: { level: 'info' } });
      pulls.push(...names.slice(10).map((name) => server.get(`/v2/docker.io/${name}/manifests/1`)));
      await upstream.received('GET manifest', 12);
      for (let answered = 0; answered < 12; answered += 1) {
        await scanner.received(Math.min(12, answered + 8));
        expect(scanner.asked.length).toBe(Math.min(12, answered + 8));
        open[answered]!({ allow: true });
        await Promise.race(pulls);
      }
      expect((await Promise.all(pulls)).map(({ status }) => status)).toEqual(times(12, () => 200));
    },
    own,
  );

  scenario(
    'nothing of a child that is refused is filled ahead',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const image = upstream.image(ALPINE, '3', { layers: [1001], platforms: ['linux/amd64', 'linux/arm64'] });
      scanner.answers(({ digest }) => ({ allow: digest === image.manifests[0]!.digest, reason: 'no' }));
      const platforms = ['linux/amd64', 'linux/arm64'];
      const server = await stage.start(routesTo(upstream, { prefetch: 'layers', platforms, admit: { url: scanner.url } }));
      expect((await server.get(manifestPath('3'))).status).toBe(200);
      await scanner.received(2);
      await upstream.received('GET blob', 2);
      await until(
        async () => (await server.metrics()).sum('entrepot_fills_total', { outcome: 'done' }),
        (done) => done === 2,
      );
      await server.logged('not let in');
      await server.settled();
      expect(upstream.hits(`GET ${image.configs[1]!.digest}`)).toBe(0);
      expect(upstream.hits('GET blob')).toBe(2);
    },
    own,
  );

  scenario(
    'who was refused what and why is in the audit, in explain, and in the metrics; release has it asked anew',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const image = upstream.image(ALPINE, '3');
      scanner.answers(() => ({ allow: false, reason: 'CVE-2026-1' }));
      const file = join(stage.directory, 'audit.log');
      const server = await stage.start({ ...routesTo(upstream, { admit: { url: scanner.url } }), audit: { file } });
      expect(await pullAll(server, image, '3')).toEqual([403, 403, 403]);
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_denied_total', { action: 'pull', reason: 'admit' })).toBe(3);
      expect(metrics.sum('entrepot_requests_total', { outcome: 'denied' })).toBe(3);
      const admin = remoteAdmin(join(stage.directory, 'data', 'entrepot.sock'));
      const explained = await admin.explain('alpine:3', new AbortController().signal);
      expect(explained.verdicts).toMatchObject([
        { judge: 'admit', admitted: false, reason: 'CVE-2026-1', digest: image.top.digest },
      ]);
      scanner.answers(() => ({ allow: true, reason: 'mended' }));
      expect(await admin.release('alpine:3')).toEqual({ image: `docker.io/${ALPINE}:3`, forgotten: 1 });
      expect(await pullAll(server, image, '3')).toEqual([200, 200, 200]);
      expect(scanner.asked.length).toBe(2);
      const audited = await until(
        async () => (await readFile(file, 'utf8')).split('\n').filter((line) => line.includes('"result":"denied"')),
        (lines) => lines.length === 3,
      );
      expect(audited.map((line) => (JSON.parse(line) as { reason: string }).reason)).toEqual([
        'admit: CVE-2026-1',
        ...times(2, () => 'admit: no manifest of this repository that was let in names it: pull its image first'),
      ]);
    },
    own,
  );
});
