import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { remoteAdmin } from '../../src/commands/remote-admin.ts';
import { openLmdb } from '../../src/metadata/lmdb.ts';
import { createRecords } from '../../src/metadata/records.ts';
import { systemClock } from '../../src/system/clock.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import type { Reply } from '../fakes/http-client.ts';
import type { Image } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { basic, sending, tokenFor, writeUsers } from './people.ts';
import { chainTo, routesTo } from './settings.ts';

const own = { settings: null };
const DAY = 86_400_000;

const shown = async (reply: Reply): Promise<string> => `${await reply.sha256()} ${String(reply.headers['cache-status'])}`;

async function refused(reply: Reply): Promise<readonly [string, unknown]> {
  const { errors } = await reply.json<{ errors: { code: string; detail?: unknown }[] }>();
  return [`${reply.status} ${errors[0]!.code}`, errors[0]!.detail];
}

/** What was seen of `tag` before: each so many milliseconds ago. */
async function seen(
  { directory }: Stage,
  tag: string,
  moves: readonly (readonly [agoMs: number, image: Image])[],
): Promise<void> {
  const place = join(directory, 'data', 'entrepot', 'metadata');
  await mkdir(place, { recursive: true });
  const store = await openLmdb({ directory: place, disk: nodeDisk, remoteFileSystem: () => Promise.resolve(undefined) });
  const records = createRecords(store, { clock: systemClock });
  for (const [agoMs, { top }] of moves)
    await records.noteMove(`docker.io/${ALPINE}`, tag, { at: Date.now() - agoMs, digest: top.digest, upstream: 'hub' });
  await records.close();
}

const admin = ({ directory }: Stage) => remoteAdmin(join(directory, 'data', 'entrepot.sock'));

const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

describe('as of a date', () => {
  scenario(
    'a miss is fetched by its digest, a hit asks nobody, and with the upstream down the same is answered',
    async (stage) => {
      const { upstream } = stage;
      const one = upstream.image(ALPINE, '3', { label: 'one' });
      const two = upstream.image(ALPINE, '3', { label: 'two' });
      await seen(stage, '3', [
        [10 * DAY, one],
        [DAY, two],
      ]);
      const server = await stage.start(routesTo(upstream, { tagttl: '1ms' }));
      const then = ago(5 * DAY);
      for (const path of [`/asof/${then}/v2/${ALPINE}`, `/v2/asof/${then}/${ALPINE}`, `/v2/asof/${then}/docker.io/${ALPINE}`]) {
        const isFirst = upstream.requests.length === 0;
        expect(await shown(await server.get(`${path}/manifests/3`))).toBe(
          `${one.top.digest} entrepot; ${isFirst ? 'fwd=miss; fwd-status=200; stored' : 'hit'}; detail=asof`,
        );
        const head = await server.head(`${path}/manifests/3`);
        expect([head.status, head.headers['docker-content-digest']]).toEqual([200, one.top.digest]);
        expect(await (await server.get(`${path}/blobs/${one.config.digest}`)).sha256()).toBe(one.config.digest);
        expect(await (await server.get(`${path}/tags/list`)).json()).toMatchObject({ tags: ['3'] });
      }
      expect([upstream.hits('manifests/3'), upstream.hits(`GET manifest`)]).toEqual([0, 1]);
      expect(await shown(await server.get(manifestPath('3')))).toContain(two.top.digest);
      await upstream.down();
      expect(await shown(await server.get(`/asof/${then}/v2/${ALPINE}/manifests/3`))).toBe(
        `${one.top.digest} entrepot; hit; detail=asof`,
      );
      expect(await refused(await server.get(`/asof/${ago(20 * DAY)}/v2/${ALPINE}/manifests/3`))).toEqual([
        '404 MANIFEST_UNKNOWN',
        { asof: { at: expect.any(String) as string, since: expect.any(String) as string } },
      ]);
    },
    own,
  );

  scenario(
    'a route pins a date for whoever pulls through it, offline too',
    async (stage) => {
      const { upstream } = stage;
      const one = upstream.image(ALPINE, '3', { label: 'one' });
      const two = upstream.image(ALPINE, '3', { label: 'two' });
      await seen(stage, '3', [
        [10 * DAY, one],
        [DAY, two],
      ]);
      const pinned = { asof: ago(5 * DAY).slice(0, 10) };
      const farm = await stage.start(routesTo(upstream, pinned));
      for (let pull = 0; pull < 3; pull += 1) expect(await (await farm.get(manifestPath('3'))).sha256()).toBe(one.top.digest);
      expect(await (await farm.get(`/asof/${ago(0)}/v2/${ALPINE}/manifests/3`)).sha256()).toBe(one.top.digest);
      expect([upstream.hits('manifests/3'), upstream.hits('GET manifest')]).toEqual([0, 1]);
      await farm.stop();
      const offline = await stage.start(routesTo(upstream, { ...pinned, offline: true }));
      expect(await shown(await offline.get(manifestPath('3')))).toBe(`${one.top.digest} entrepot; hit; detail=asof`);
      expect(await refused(await offline.get(manifestPath('3.1')))).toMatchObject(['404 MANIFEST_UNKNOWN', { asof: {} }]);
    },
    own,
  );

  scenario(
    'who may pull is asked of the repository, under the name that the client spelt; nothing is written there',
    async (stage) => {
      const { upstream } = stage;
      const image = upstream.image(ALPINE, '3');
      await seen(stage, '3', [[10 * DAY, image]]);
      const server = await stage.start({
        ...chainTo({ hub: { url: upstream.url } }),
        storage: { filesystem: { rootdirectory: `${stage.directory}/data` }, delete: { enabled: true } },
        routes: [{ match: 'docker.io/**', upstreams: ['hosted', 'hub'], push: true, shadow: true }],
        auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'ben') } },
        access: [{ match: `docker.io/${ALPINE}`, pull: ['user:ann', 'group:ci'], push: ['user:ann'], delete: ['user:ann'] }],
        groups: { ci: ['user:nobody'] },
      });
      const day = ago(5 * DAY).slice(0, 10);
      const paths = [`/asof/${day}/v2/${ALPINE}`, `/v2/asof/${day}/${ALPINE}`];
      for (const [at, spelt] of [ALPINE, `asof/${day}/${ALPINE}`].entries()) {
        const path = `${paths[at]}/manifests/3`;
        expect((await server.get(path)).status).toBe(401);
        const ann = sending(server, await tokenFor(server, basic('ann'), `repository:${spelt}:pull,push,delete`));
        expect(await (await ann.get(path)).sha256()).toBe(image.top.digest);
        expect((await sending(server, basic('ann')).get(path)).status).toBe(200);
        // A token for the other spelling is none for this one.
        const other = sending(server, await tokenFor(server, basic('ann'), 'repository:library/other:pull'));
        expect((await other.get(path)).status).toBe(401);
        const ben = await sending(server, basic('ben')).get(path);
        expect(await refused(ben)).toEqual(['404 NAME_UNKNOWN', undefined]);
        const writes = [
          ['PUT', 'manifests/4'],
          ['DELETE', 'manifests/3'],
          ['DELETE', `blobs/${image.config.digest}`],
          ['POST', 'blobs/uploads/'],
          ['POST', `blobs/uploads/?mount=${image.config.digest}&from=library/other`],
          ['PATCH', 'blobs/uploads/x'],
        ] as const;
        for (const [method, end] of writes) {
          const reply = await ann.get(`${paths[at]}/${end}`, { method, headers: { 'content-length': '0' } });
          expect([method, end, ...(await refused(reply))]).toEqual([method, end, '405 UNSUPPORTED', undefined]);
        }
      }
      expect((await sending(server, basic('ann')).get(`/asof/${day}/v2/`)).status).toBe(200);
    },
    own,
  );
});

describe('cooldown', () => {
  scenario(
    'a tag that moved yesterday is what it was before; on a hit, on a miss, and with the upstream down',
    async (stage) => {
      const { upstream } = stage;
      const one = upstream.image(ALPINE, '3', { label: 'one' });
      const two = upstream.image(ALPINE, '3', { label: 'two' });
      await seen(stage, '3', [
        [10 * DAY, one],
        [DAY, two],
      ]);
      const server = await stage.start(routesTo(upstream, { cooldown: '72h', tagttl: '1ms' }));
      for (const state of ['fwd=miss; fwd-status=200; stored', 'hit'])
        expect(await shown(await server.get(manifestPath('3')))).toBe(`${one.top.digest} entrepot; ${state}; detail=cooldown`);
      expect((await server.head(manifestPath('3'))).headers['docker-content-digest']).toBe(one.top.digest);
      expect(upstream.hits(`manifests/${two.top.digest}`)).toBe(0);
      expect(await (await server.get(manifestPath(two.top.digest))).sha256()).toBe(two.top.digest);
      expect(await (await server.get(blobPath(two.config))).sha256()).toBe(two.config.digest);
      await upstream.down();
      expect(await shown(await server.get(manifestPath('3')))).toBe(`${one.top.digest} entrepot; hit; detail=cooldown`);
    },
    own,
  );

  scenario(
    'a tag that nobody has seen before is not there yet; release lets it go, and that survives a restart',
    async (stage) => {
      const { upstream } = stage;
      const image = upstream.image(ALPINE, '3', { label: 'one' });
      const settings = routesTo(upstream, { cooldown: '72h' });
      const server = await stage.start(settings);
      const [status, detail] = await refused(await server.get(manifestPath('3')));
      expect([status, detail]).toEqual(['404 MANIFEST_UNKNOWN', { cooldown: { until: expect.any(String) as string } }]);
      const until = Date.parse((detail as { cooldown: { until: string } }).cooldown.until);
      expect(Math.abs(until - Date.now() - 3 * DAY)).toBeLessThan(60_000);
      expect([upstream.hits('HEAD manifest'), upstream.hits('GET manifest')]).toEqual([1, 0]);
      expect(await admin(stage).release('alpine:3')).toEqual({
        image: `docker.io/${ALPINE}:3`,
        digest: image.top.digest,
        forgotten: 0,
      });
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      await server.stop();
      const next = upstream.image(ALPINE, '3', { label: 'two' });
      const again = await stage.start({ ...settings, routes: [{ ...(settings['routes'] as object[])[0], tagttl: '1ms' }] });
      expect(await (await again.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      expect((await admin(stage).explain('alpine:3', new AbortController().signal)).history).toMatchObject({
        moves: [{ digest: next.top.digest }, { digest: image.top.digest }],
        released: { digest: image.top.digest },
        answer: { why: 'cooldown', digest: image.top.digest },
      });
    },
    own,
  );
});
