import { createHmac } from 'node:crypto';
import { hostname } from 'node:os';
import { describe, expect } from 'vitest';
import { buildImage } from '../fakes/images.ts';
import { createReceiver, type Receiver } from '../fakes/receiver.ts';
import { scenario, type Stage } from './harness.ts';
import { readMetrics } from './metrics.ts';
import { pushBlob, pushImage, pushManifest } from './push.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { routesTo, type Settings } from './settings.ts';

async function receiverOf(stage: Stage): Promise<Receiver> {
  const receiver = await createReceiver();
  stage.defer(() => receiver.close());
  return receiver;
}

const told = (receiver: Receiver, more: Settings = {}, events: Settings = {}): Settings => ({
  notifications: { events, endpoints: [{ name: 'ci', url: receiver.url, backoff: '50ms', threshold: 1, ...more }] },
});

describe('notifications', () => {
  scenario(
    'a pull of a mirrored image is told as the official registry tells it, signed',
    async (stage) => {
      const { upstream } = stage;
      const receiver = await receiverOf(stage);
      const image = upstream.image(ALPINE, '3.20');
      const layer = image.layers[0]!;
      const server = await stage.start({
        ...routesTo(upstream),
        ...told(
          receiver,
          { secret: 'hush-hush', headers: { Authorization: ['Bearer t'], 'X-Two': ['a', 'b'] } },
          { includereferences: true },
        ),
      });
      const reply = await server.get(manifestPath('3.20'), { headers: { 'user-agent': 'docker/29.0' } });
      await reply.sha256();
      await (await server.get(blobPath(layer))).sha256();
      const [manifest, blob] = await receiver.until(2);
      const address = server.url;
      expect(manifest?.event).toMatchObject({
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) as string,
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        action: 'pull',
        target: {
          mediaType: image.top.mediaType,
          digest: image.top.digest,
          size: image.top.bytes.byteLength,
          length: image.top.bytes.byteLength,
          repository: ALPINE,
          tag: '3.20',
          url: `${address}/v2/${ALPINE}/manifests/${image.top.digest}`,
        },
        request: {
          id: reply.headers['x-request-id'],
          addr: '127.0.0.1',
          host: new URL(server.url).host,
          method: 'GET',
          useragent: 'docker/29.0',
        },
        actor: {},
        source: { addr: `${hostname()}:0`, instanceID: expect.stringMatching(/^[0-9a-f]{32}$/) as string },
      });
      expect(manifest?.event.target['references']).toBeInstanceOf(Array);
      expect(JSON.stringify(manifest?.event.target['references'])).toContain(layer.digest);
      expect(blob?.event).toMatchObject({
        action: 'pull',
        target: {
          mediaType: 'application/octet-stream',
          digest: layer.digest,
          size: layer.bytes.byteLength,
          url: `${address}/v2/${ALPINE}/blobs/${layer.digest}`,
        },
      });
      expect(blob?.event.target).not.toHaveProperty('tag');
      expect(manifest?.headers).toMatchObject({
        'content-type': 'application/vnd.docker.distribution.events.v2+json',
        authorization: 'Bearer t',
        'x-two': 'a, b',
      });
      expect(manifest?.headers['x-hub-signature-256']).toBe(
        `sha256=${createHmac('sha256', 'hush-hush')
          .update(manifest?.body ?? '')
          .digest('hex')}`,
      );
    },
    { settings: null },
  );

  scenario(
    'what is no pull, what is ignored, and what is switched off is not told',
    async (stage) => {
      const { upstream } = stage;
      const receiver = await receiverOf(stage);
      const image = upstream.image(ALPINE, '3.20');
      const settings = {
        ...routesTo(upstream),
        ...told(receiver, { ignore: { mediatypes: ['application/octet-stream'] } }),
      };
      const off = { name: 'off', url: receiver.url, disabled: true };
      const endpoints = [...(settings.notifications as { endpoints: Settings[] }).endpoints, off];
      const server = await stage.start({ ...settings, notifications: { endpoints } });
      await server.head(manifestPath('3.20'));
      await server.get('/v2/');
      await (await server.get(manifestPath('none'))).text();
      await (await server.get(blobPath(image.layers[0]!))).sha256();
      await (await server.get(manifestPath('3.20'))).sha256();
      const etag = `"${image.top.digest}"`;
      expect((await server.get(manifestPath('3.20'), { headers: { 'if-none-match': etag } })).status).toBe(304);
      await (await server.get(manifestPath(image.top.digest))).sha256();
      const events = (await receiver.until(2)).map(({ event }) => event.target['tag']);
      expect(events).toEqual(['3.20', undefined]);
      const metrics = readMetrics(await (await server.debug('/metrics')).text());
      expect(metrics.sum('registry_notifications_events_total', { type: 'Events', endpoint: 'ci' })).toBe(2);
      expect(metrics.sum('registry_notifications_events_total', { endpoint: 'off' })).toBe(0);
    },
    { settings: null },
  );

  scenario(
    'a receiver that refuses or redirects is told again, across a restart, and metrics say so',
    async (stage) => {
      const { upstream } = stage;
      const receiver = await receiverOf(stage);
      const canary = await receiverOf(stage);
      upstream.image(ALPINE, '3.20');
      const settings = { ...routesTo(upstream), ...told(receiver) };
      receiver.answers(503);
      const first = await stage.start(settings);
      await (await first.get(manifestPath('3.20'))).sha256();
      await receiver.until(2);
      receiver.answers(307, canary.url);
      const from = receiver.received.length;
      await receiver.until(from + 2);
      const metrics = readMetrics(await (await first.debug('/metrics')).text());
      expect(metrics.sum('registry_notifications_pending_total', { endpoint: 'ci' })).toBe(1);
      expect(
        metrics.sum('registry_notifications_status_total', { endpoint: 'ci', code: '503 Service Unavailable' }),
      ).toBeGreaterThan(1);
      expect(metrics.sum('registry_notifications_events_total', { endpoint: 'ci', type: 'Failures' })).toBeGreaterThan(2);
      expect(first.records.filter(({ msg }) => msg === 'notifications fail')).toMatchObject([{ endpoint: 'ci', status: 503 }]);
      expect(JSON.stringify(first.records)).not.toContain('hush');
      await first.stop();

      const before = receiver.received.length;
      receiver.answers(204);
      const second = await stage.start(settings);
      await receiver.until(before + 1);
      expect(new Set(receiver.received.map(({ event }) => event.id)).size).toBe(1);
      expect(canary.received).toEqual([]);
      await (await second.get(manifestPath('3.20'))).sha256();
      await receiver.until(before + 2);
      expect(receiver.received.length).toBe(before + 2);
    },
    { settings: null },
  );

  scenario(
    'a reload takes other receivers, and what waited for one that went waits until it is back',
    async (stage) => {
      const { upstream } = stage;
      const [one, two] = [await receiverOf(stage), await receiverOf(stage)];
      upstream.image(ALPINE, '3.20');
      const routes = routesTo(upstream);
      const server = await stage.start(routes);
      await (await server.get(manifestPath('3.20'))).sha256();
      one.answers(500);
      await server.reload({ ...routes, ...told(one) });
      await (await server.get(manifestPath('3.20'))).sha256();
      await one.until(1);
      await server.reload({ ...routes, ...told(two, { name: 'other' }) });
      await (await server.get(manifestPath('3.20'))).sha256();
      await two.until(1);
      const before = one.received.length;
      one.answers(200);
      await server.reload({ ...routes, ...told(one) });
      await one.until(before + 1);
      expect(new Set(one.received.map(({ event }) => event.id)).size).toBe(1);
      expect(two.received).toHaveLength(1);
    },
    { settings: null },
  );

  scenario(
    'pushes, mounts and deletions are told in their order, and what is told can be pulled',
    async (stage) => {
      const receiver = await receiverOf(stage);
      const image = buildImage();
      const server = await stage.start({
        ...told(receiver, { ignore: { actions: ['pull'] } }),
        storage: { filesystem: { rootdirectory: stage.directory }, delete: { enabled: true } },
      });
      const [layer, config] = [image.layers[0]!, image.configs[0]!];
      expect((await pushImage(server, '/v2/team/app', 'live', image)).status).toBe(201);
      const mount = `/v2/team/other/blobs/uploads/?mount=${layer.digest}&from=team/app`;
      expect((await server.get(mount, { method: 'POST' })).status).toBe(201);
      for (const reference of ['live', image.top.digest]) {
        expect((await server.get(`/v2/team/app/manifests/${reference}`, { method: 'DELETE' })).status).toBe(202);
      }
      expect((await server.get(`/v2/team/app/blobs/${config.digest}`, { method: 'DELETE' })).status).toBe(202);
      const events = (await receiver.until(7)).map(({ event: { action, target } }) => [action, target] as const);
      const app = 'team/app';
      expect(events).toMatchObject([
        ['push', { repository: app, digest: layer.digest, size: layer.bytes.length, mediaType: 'application/octet-stream' }],
        ['push', { repository: app, digest: config.digest }],
        ['push', { repository: app, digest: image.top.digest, tag: 'live', mediaType: image.top.mediaType }],
        ['mount', { repository: 'team/other', digest: layer.digest, fromRepository: app }],
        ['delete', { repository: app, tag: 'live' }],
        ['delete', { repository: app, digest: image.top.digest }],
        ['delete', { repository: app, digest: config.digest }],
      ]);
      expect(events[4]?.[1]).not.toHaveProperty('digest');
      const url = new URL(events[0]?.[1]['url'] as string);
      expect(url.origin).toBe(server.url);
      expect(await (await server.get(url.pathname)).sha256()).toBe(layer.digest);
    },
    { settings: null },
  );

  scenario(
    'a push that is answered is told, though the server dies before anybody could be told',
    async (stage) => {
      const receiver = await receiverOf(stage);
      receiver.answers(503);
      const image = buildImage();
      const settings = told(receiver, { ignore: { mediatypes: ['application/octet-stream'] } });
      const first = await stage.startProcess(settings);
      for (const blob of [...image.layers, ...image.configs]) await pushBlob(first, '/v2/team/app', blob);
      for (const tag of ['1', '2', '3']) {
        expect((await pushManifest(first, '/v2/team/app', tag, image.top)).status).toBe(201);
      }
      await first.kill('SIGKILL');
      const before = receiver.received.length;
      receiver.answers(200);
      await stage.startProcess(settings);
      const after = (await receiver.until(before + 3)).slice(before);
      expect(after.map(({ event }) => event.target['tag'])).toEqual(['1', '2', '3']);
    },
    { settings: null },
  );
});
