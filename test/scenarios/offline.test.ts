import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { openStore } from '../../src/compose/open-store.ts';
import { printExplanation } from '../../src/commands/explain.ts';
import { printRoutes } from '../../src/commands/print-config.ts';
import { printStatus } from '../../src/commands/status.ts';
import { randomBlob } from '../fakes/images.ts';
import type { Reply } from '../fakes/http-client.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import { load } from '../unit/config/load.ts';
import { scenario, times, type Stage } from './harness.ts';
import { ALPINE, blobPath, fileOf, manifestPath } from './paths.ts';
import { baseSettings, routesTo, type Settings } from './settings.ts';

const own = { settings: null };
const tagsPath = (repository = ALPINE, query = ''): string => `/v2/docker.io/${repository}/tags/list${query}`;

/** Offline without a word of an upstream, or as a route that has one. */
const WAYS: readonly (readonly [string, (upstream: { readonly url: string }) => Settings])[] = [
  ['at the top', (upstream) => ({ ...routesTo(upstream, { tagttl: '1ms', stale: '0s' }), offline: true })],
  ['at the top, against the route', (upstream) => ({ ...routesTo(upstream, { offline: false }), offline: true })],
  ['for the route', (upstream) => routesTo(upstream, { offline: true, tagttl: '1ms', stale: '0s' })],
  ['by default', (upstream) => ({ ...routesTo(upstream), defaults: { offline: true } })],
  ['without upstreams', () => ({ routes: [{ match: 'docker.io/**', name: 'hub', offline: true }] })],
];

interface Refused {
  readonly errors: readonly { readonly code: string; readonly message: string; readonly detail?: unknown }[];
}

async function refused(reply: Reply): Promise<string> {
  const { errors } = await reply.json<Refused>();
  const [error] = errors;
  expect(error!.message).toContain('this mirror is offline');
  expect(error!.detail).toEqual({ offline: true });
  expect(reply.headers['cache-status']).toBe('entrepot; detail=offline');
  return `${reply.status} ${error!.code}`;
}

/** One image pulled whole, and all of it told about. */
async function pulled(stage: Stage) {
  const { upstream } = stage;
  const image = upstream.image(ALPINE, '3', { layers: [5000, 300_000], platforms: ['linux/amd64'] });
  const signature = upstream.referrer(ALPINE, image.top, 'application/vnd.test.signature');
  const online = await stage.start(routesTo(upstream));
  const paths = [
    manifestPath('3'),
    ...[image.top, ...image.manifests].map(({ digest }) => manifestPath(digest)),
    ...[...image.layers, image.config].map((blob) => blobPath(blob)),
  ];
  for (const path of paths) await (await online.get(path)).bytes();
  await (await online.get(`/v2/docker.io/${ALPINE}/referrers/${image.top.digest}`)).bytes();
  await online.settled();
  return { image, signature, online, paths };
}

describe('offline', () => {
  for (const [how, settings] of WAYS) {
    scenario(
      `${how}: what is held is served whatever its age, and nobody is asked or dialled`,
      async (stage) => {
        const { upstream } = stage;
        const { paths, online } = await pulled(stage);
        await online.stop();
        upstream.forget();
        const server = await stage.start(settings(upstream));
        for (const path of paths) {
          const got = await server.get(path);
          const digest = await got.sha256();
          expect([got.status, got.headers['cache-status'], got.headers['warning']]).toEqual([200, 'entrepot; hit', undefined]);
          const head = await server.head(path);
          expect([head.status, head.headers['docker-content-digest']]).toEqual([200, digest]);
          expect(head.headers['cache-status']).toBe('entrepot; hit');
        }
        const ranged = await server.get(paths.at(-2)!, { headers: { range: 'bytes=10-19' } });
        expect([ranged.status, (await ranged.bytes()).length]).toEqual([206, 10]);
        expect([upstream.requests.length, upstream.connections()]).toEqual([0, 0]);
        expect((await server.metrics()).sum('entrepot_upstream_requests_total')).toBe(0);
      },
      own,
    );
  }

  scenario(
    'what is not held is a clear 404, GET and HEAD alike, and never remembered',
    async (stage) => {
      const { upstream } = stage;
      const { online } = await pulled(stage);
      await online.stop();
      upstream.forget();
      const server = await stage.start({ ...routesTo(upstream), offline: true });
      const later = upstream.image(ALPINE, 'later', { label: 'later' });
      const missing: readonly [string, string][] = [
        [manifestPath('later'), '404 MANIFEST_UNKNOWN'],
        [manifestPath(later.top.digest), '404 MANIFEST_UNKNOWN'],
        [blobPath(later.config), '404 BLOB_UNKNOWN'],
        [tagsPath('library/other'), '404 NAME_UNKNOWN'],
      ];
      for (const [path, refusal] of missing) {
        for (const _ of times(2, () => 0)) expect(await refused(await server.get(path))).toBe(refusal);
        expect((await server.head(path)).status).toBe(404);
      }
      expect(upstream.requests).toEqual([]);
      const record = await server.logged('request', ({ reference }) => reference === 'later');
      expect(record).toMatchObject({ status: 404, outcome: 'negative', route: 'hub' });

      await server.reload(routesTo(upstream));
      expect(await (await server.get(manifestPath('later'))).sha256()).toBe(later.top.digest);
      expect(await (await server.get(blobPath(later.config))).sha256()).toBe(later.config.digest);
      await server.reload({ ...routesTo(upstream), offline: true });
      upstream.forget();
      expect(await (await server.get(manifestPath('later'))).sha256()).toBe(later.top.digest);
      expect(upstream.requests).toEqual([]);
    },
    own,
  );

  scenario(
    '[promise 9] bytes that another repository brought are not served',
    async (stage) => {
      const { upstream } = stage;
      const { image, online } = await pulled(stage);
      await online.stop();
      const server = await stage.start({ ...routesTo(upstream), offline: true });
      for (const path of [
        blobPath(image.layers[0]!, 'library/other'),
        blobPath(image.layers[1]!, 'library/other'),
        manifestPath(image.top.digest, 'library/other'),
      ]) {
        expect(await refused(await server.get(path))).toMatch(/^404 /);
        expect((await server.head(path)).status).toBe(404);
      }
    },
    own,
  );

  scenario(
    'a tag whose bytes have gone from the disk: HEAD says what GET does',
    async (stage) => {
      const { upstream } = stage;
      const { image, online } = await pulled(stage);
      await online.stop();
      await rm(fileOf(stage, image.top));
      await rm(fileOf(stage, image.layers[0]!));
      const server = await stage.start({ ...routesTo(upstream), offline: true });
      for (const path of [manifestPath('3'), manifestPath(image.top.digest), blobPath(image.layers[0]!)]) {
        expect((await server.head(path)).status).toBe(404);
        expect(await refused(await server.get(path))).toMatch(/^404 /);
      }
    },
    own,
  );

  scenario(
    'tags: those that are held, in pages',
    async (stage) => {
      const { upstream } = stage;
      const online = await stage.start(routesTo(upstream));
      for (const tag of ['1', '2', '3', '4', '5']) {
        upstream.image(ALPINE, tag, { label: tag });
        if (tag !== '4') await (await online.get(manifestPath(tag))).bytes();
      }
      const digest = upstream.image('library/bydigest', 'x').top.digest;
      await (await online.get(manifestPath(digest, 'library/bydigest'))).bytes();
      await online.stop();
      upstream.forget();
      const server = await stage.start({ ...routesTo(upstream), offline: true });
      const all = await server.get(tagsPath());
      expect(all.headers['cache-status']).toBe('entrepot; hit');
      expect(await all.json()).toEqual({ name: `docker.io/${ALPINE}`, tags: ['1', '2', '3', '5'] });
      const first = await server.get(tagsPath(ALPINE, '?n=3'));
      expect(await first.json()).toMatchObject({ tags: ['1', '2', '3'] });
      const next = /^<([^>]+)>; ?rel="?next"?$/.exec(String(first.headers.link))![1]!;
      const second = await server.get(next);
      expect([await second.json(), second.headers.link]).toEqual([{ name: `docker.io/${ALPINE}`, tags: ['5'] }, undefined]);
      expect(await (await server.get(tagsPath(ALPINE, '?n=0'))).json()).toMatchObject({ tags: [] });
      expect(await (await server.get(tagsPath(ALPINE, '?last=9'))).json()).toMatchObject({ tags: [] });
      expect(await (await server.get(tagsPath('library/bydigest'))).json()).toMatchObject({ tags: [] });
      expect(await refused(await server.get(tagsPath('library/none', '?n=0')))).toBe('404 NAME_UNKNOWN');
      expect(upstream.requests).toEqual([]);
    },
    own,
  );

  scenario(
    'referrers: the list that was cached, filtered too; an empty index for what nobody asked about',
    async (stage) => {
      const { upstream } = stage;
      const { image, signature, online } = await pulled(stage);
      await online.stop();
      upstream.forget();
      const server = await stage.start({ ...routesTo(upstream), offline: true });
      const path = `/v2/docker.io/${ALPINE}/referrers/`;
      const digests = async (reply: Reply): Promise<string[]> => {
        expect([reply.status, reply.headers['cache-status']]).toEqual([200, 'entrepot; hit']);
        const { manifests } = await reply.json<{ manifests: { digest: string }[] }>();
        return manifests.map(({ digest }) => digest);
      };
      expect(await digests(await server.get(`${path}${image.top.digest}`))).toEqual([signature.digest]);
      const filtered = await server.get(`${path}${image.top.digest}?artifactType=application/vnd.test.signature`);
      expect(filtered.headers['oci-filters-applied']).toBe('artifactType');
      expect(await digests(filtered)).toEqual([signature.digest]);
      expect(await digests(await server.get(`${path}${image.top.digest}?artifactType=application/x`))).toEqual([]);
      expect(await digests(await server.get(`${path}${randomBlob(3).digest}`))).toEqual([]);
      expect(upstream.requests).toEqual([]);
    },
    own,
  );

  scenario(
    'a reload to offline: what nobody reads stops asking, what a client reads goes on',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(routesTo(upstream));
      const [read, left] = [randomBlob(400_000, 1), randomBlob(400_000, 2)];
      const gate = createGate();
      for (const blob of [read, left]) upstream.blob(ALPINE, blob).holdAfter(200_000, gate);
      const reading = await server.get(blobPath(read));
      const leaving = await server.get(blobPath(left));
      leaving.abort();
      await server.logged('request', ({ aborted }) => aborted === true);
      await server.reload({ ...routesTo(upstream), offline: true });
      await server.logged('fill ended', ({ outcome, digest }) => outcome === 'parked' && digest === left.digest);
      gate.open();
      expect(await reading.sha256()).toBe(read.digest);
      await server.settled();
      expect((await server.get(blobPath(read))).status).toBe(200);
      expect(await refused(await server.get(blobPath(left)))).toBe('404 BLOB_UNKNOWN');
    },
    own,
  );

  scenario(
    'one route offline, the other not: an upstream of both is asked for the other alone',
    async (stage) => {
      const { upstream } = stage;
      const dark = await stage.addUpstream();
      upstream.image(ALPINE, '3');
      upstream.image('acme/app', '1');
      const server = await stage.start({
        upstreams: { hub: { url: upstream.url }, dark: { url: dark.url } },
        routes: [
          { match: 'docker.io/acme/**', name: 'acme', upstreams: ['hub', 'dark'], offline: true },
          { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
        ],
      });
      expect((await server.get(manifestPath('3'))).status).toBe(200);
      expect(await refused(await server.get(manifestPath('1', 'acme/app')))).toBe('404 MANIFEST_UNKNOWN');
      expect([upstream.hits('acme'), dark.requests.length]).toEqual([0, 0]);
      const metrics = await server.metrics();
      expect([
        metrics.sum('entrepot_upstream_up', { upstream: 'hub' }),
        metrics.sum('entrepot_upstream_up', { upstream: 'dark' }),
      ]).toEqual([1, 0]);
      expect((await server.debug('/readyz')).status).toBe(200);
    },
    own,
  );

  scenario(
    'status, explain, check and refresh say so',
    async (stage) => {
      const { upstream } = stage;
      const { online } = await pulled(stage);
      await online.stop();
      upstream.forget();
      const { upstreams, ...rest } = routesTo(upstream);
      const spare = { url: upstream.url };
      const settings = { ...rest, upstreams: { ...(upstreams as Settings), spare }, offline: true };
      const config = await load(JSON.stringify(baseSettings(join(stage.directory, 'data'), settings)));
      const store = await openStore(config, 'test');
      stage.defer(() => store.close());
      const { admin } = store;
      const status = await admin.status();
      expect(status).toMatchObject({ offline: { all: true, routes: ['hub'] }, upstreams: [] });
      expect(printStatus(status)).toContain('every route: nobody is asked');
      const explained = await admin.explain('alpine:3', new AbortController().signal);
      expect(explained.route).toMatchObject({ name: 'hub', offline: true, chain: [] });
      expect(printExplanation(explained)).toContain('offline: nobody is asked');
      expect(printRoutes(config.routes)).toMatch(/ hub +offline /);
      expect([explained.answers, explained.held.manifestHeld]).toEqual([[], true]);
      expect(await admin.refresh('alpine:3')).toMatchObject({
        outcome: 'failed',
        message: expect.stringContaining('offline') as string,
      });
      expect(upstream.requests).toEqual([]);
    },
    own,
  );
});
