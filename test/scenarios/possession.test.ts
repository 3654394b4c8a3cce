import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Reply } from '../fakes/http-client.ts';
import { randomBlob, type Blob, type Image } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { until } from './acceptance.ts';
import { scenario, times, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { basic, sending, writeUsers } from './people.ts';
import { pullWhole } from './pull-whole.ts';
import { pushImage } from './push.ts';
import { baseSettings, routesTo, type Settings } from './settings.ts';

const ANN = basic('ann', 'annspassword');
const USERS = { ann: { password: 'annspassword', repositories: ['acme/app', 'acme/other'] } };
const PRIVATE = ['acme/app', 'acme/other'];
const LAYER_BYTES = 3_000_000;
const HELD_AT = 2_000_000;

type Client = Pick<RunningHere, 'get' | 'head'>;

/** docker.io, whose private images clients unlock by themselves, beside whatever registry a client names. */
const passing = (hub: Pick<ScriptedUpstream, 'url'>, evil: Pick<ScriptedUpstream, 'url'>): Settings => ({
  upstreams: { hub: { url: hub.url }, evil: { url: evil.url } },
  routes: [
    { match: 'docker.io/**', name: 'hub', upstreams: ['hub'], passthrough: true },
    { match: '**', name: 'any', upstreams: ['evil'], negativettl: '0s' },
  ],
});

interface Lair {
  readonly server: RunningHere;
  readonly evil: ScriptedUpstream;
  readonly ann: Client;
  readonly image: Image;
  readonly layer: Blob;
}

/** A private image of docker.io, and a registry that claims to have all of it without having a byte. */
async function lair(stage: Stage): Promise<Lair> {
  const { upstream: hub } = stage;
  hub.auth.set({ scheme: 'bearer', privateRepositories: PRIVATE, users: USERS });
  const image = hub.image('acme/app', '1', { label: 'secret', layers: [LAYER_BYTES] });
  const evil = await stage.addUpstream();
  claim(evil, image);
  const server = await stage.start(passing(hub, evil));
  return { server, evil, ann: sending(server, ANN), image, layer: image.layers[0]! };
}

function claim(evil: ScriptedUpstream, image: Image): void {
  for (const blob of [...image.layers, image.config])
    evil.blob('thief/x', blob).otherBytes(Buffer.alloc(blob.bytes.length, 'garbage'));
  evil.manifest('thief/x', 'latest', image.top).otherBytes(Buffer.alloc(image.top.bytes.length, ' '));
}

/** Every way by which a byte of it might come under the name that the thief made up. */
async function steal({ server, image, layer }: Pick<Lair, 'server' | 'image' | 'layer'>): Promise<Buffer> {
  const [half, at] = [{ range: `bytes=${LAYER_BYTES / 2}-${LAYER_BYTES / 2 + 999}` }, '/v2/evil.test/thief/x'];
  const replies: Reply[] = [
    await server.get(`${at}/blobs/${layer.digest}`),
    await server.get(`${at}/blobs/${layer.digest}`, { headers: half }),
    await server.get(`${at}/blobs/${layer.digest}`, { headers: { range: 'bytes=0-99' } }),
    await server.get(`${at}/blobs/${image.config.digest}`),
    await server.get(`${at}/manifests/${image.top.digest}`),
    await server.get(`${at}/manifests/latest`),
  ];
  const taken = await Promise.all(replies.map(async (reply) => (await reply.untilBroken()).bytes));
  return Buffer.concat(taken);
}

/** Whether a piece of the layer is among what was taken, wherever it stands in either. */
function holdsAny(taken: Buffer, secret: Buffer): boolean {
  return times(Math.floor(secret.length / 50_000), (at) => secret.subarray(at * 50_000, at * 50_000 + 32)).some((piece) =>
    taken.includes(piece),
  );
}

const expectNothing = (taken: Buffer, { layer, image }: Pick<Lair, 'layer' | 'image'>): void => {
  expect(holdsAny(taken, layer.bytes)).toBe(false);
  expect(taken.includes(image.config.bytes.subarray(0, 32))).toBe(false);
  expect(taken.includes(image.top.bytes.subarray(0, 64))).toBe(false);
};

const own = { settings: null };

describe('[promise 9] a registry that says yes without having the bytes is shown none', () => {
  scenario(
    'of what is held',
    async (stage) => {
      const stolen = await lair(stage);
      const { server, ann, image } = stolen;
      expect(await pullWhole(ann, 'acme/app', '1', image)).toEqual([]);
      await server.settled();
      for (let round = 0; round < 2; round += 1) expectNothing(await steal(stolen), stolen);
      // And the owner still has it without asking again.
      const before = stage.upstream.seen('blob').length;
      expect(await pullWhole(ann, 'acme/app', '1', image)).toEqual([]);
      expect(stage.upstream.seen('blob').length).toBe(before);
    },
    own,
  );

  scenario(
    'of what is arriving',
    async (stage) => {
      const stolen = await lair(stage);
      const { server, ann, image, layer } = stolen;
      const gate = createGate();
      stage.upstream.blob('acme/app', layer).holdAfter(HELD_AT, gate);
      await (await ann.get('/v2/acme/app/manifests/1')).bytes();
      const running = await ann.get(`/v2/acme/app/blobs/${layer.digest}`);
      await gate.reached;
      expectNothing(await steal(stolen), stolen);
      gate.open();
      expect((await running.bytes()).equals(layer.bytes)).toBe(true);
      await server.settled();
      expect(await pullWhole(ann, 'acme/app', '1', image)).toEqual([]);
    },
    own,
  );

  scenario(
    'of what a restart left half-way',
    async (stage) => {
      const stolen = await lair(stage);
      const { server, ann, layer, evil, image } = stolen;
      const gate = createGate();
      stage.upstream.blob('acme/app', layer).holdAfter(HELD_AT, gate);
      await (await ann.get('/v2/acme/app/manifests/1')).bytes();
      const running = await ann.get(`/v2/acme/app/blobs/${layer.digest}`);
      await gate.reached;
      await server.stop();
      await running.untilBroken();
      gate.open();
      const again = await stage.start(passing(stage.upstream, evil));
      expectNothing(await steal({ ...stolen, server: again }), stolen);
      const askedFor = evil.seen('GET blob').filter(({ range }) => range !== undefined && range.from > 99);
      expect(askedFor.filter(({ range }) => range?.from !== LAYER_BYTES / 2)).toEqual([]);
      expect(await pullWhole(sending(again, ANN), 'acme/app', '1', image)).toEqual([]);
    },
    own,
  );

  scenario(
    'of what an account unlocked, or somebody pushed',
    async (stage) => {
      const { upstream: hub } = stage;
      const evil = await stage.addUpstream();
      const account = { url: hub.url, username: 'me', password: 'pw', use: 'all' };
      hub.auth.set({ scheme: 'bearer', username: 'me', password: 'pw', privateRepositories: ['acme/app'] });
      const image = hub.image('acme/app', '1', { label: 'secret', layers: [LAYER_BYTES] });
      const pushed = hub.image('acme/none', '1', { label: 'pushed', layers: [LAYER_BYTES] });
      for (const each of [image, pushed]) claim(evil, each);
      const server = await stage.start(
        baseSettings(join(stage.directory, 'data'), {
          upstreams: { hub: account, evil: { url: evil.url } },
          routes: [
            { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
            { match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] },
            { match: '**', name: 'any', upstreams: ['evil'], negativettl: '0s' },
          ],
          auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann') } },
          access: [
            { match: 'docker.io/**', pull: ['user:ann'] },
            { match: 'registry.acme.test/**', pull: ['user:ann'], push: ['user:ann'] },
            { match: '**', pull: ['signed-in'] },
          ],
        }),
      );
      const ann = sending(server, basic('ann'));
      expect(await pullWhole(ann, 'acme/app', '1', image)).toEqual([]);
      expect((await pushImage(ann, '/v2/registry.acme.test/app', '1', pushed)).status).toBe(201);
      await server.settled();
      for (const each of [image, pushed]) {
        const stolen = { server: ann as RunningHere, image: each, layer: each.layers[0]! };
        expectNothing(await steal(stolen), stolen);
      }
    },
    own,
  );

  scenario(
    'and in a chain, each counts for what it brought itself',
    async (stage) => {
      const { upstream: hub } = stage;
      const evil = await stage.addUpstream();
      hub.auth.set({ scheme: 'bearer', username: 'me', password: 'pw', privateRepositories: ['acme/app'] });
      const image = hub.image('acme/app', '1', { label: 'secret', layers: [LAYER_BYTES] });
      claim(evil, image);
      const account = { url: hub.url, username: 'me', password: 'pw', use: 'all' };
      const server = await stage.start({
        upstreams: { evil: { url: evil.url }, hub: account },
        routes: [{ match: 'docker.io/**', name: 'hub', upstreams: ['evil', 'hub'], negativettl: '0s' }],
        auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann') } },
        access: [{ match: 'docker.io/**', pull: ['user:ann'] }],
      });
      const ann = sending(server, basic('ann'));
      expect(await pullWhole(ann, 'acme/app', '1', image)).toEqual([]);
      await server.settled();
      const layer = image.layers[0]!;
      const reply = await ann.get(`/v2/thief/x/blobs/${layer.digest}`);
      expect(holdsAny((await reply.untilBroken()).bytes, layer.bytes)).toBe(false);
    },
    own,
  );
});

describe('who has the bytes', () => {
  scenario(
    'brings them once, and is believed from then on',
    async (stage) => {
      const { server, evil, ann, image, layer } = await lair(stage);
      expect(await pullWhole(ann, 'acme/app', '1', image)).toEqual([]);
      await server.settled();
      for (const name of ['honest/x', 'honest/y']) evil.blob(name, layer);
      const get = async (name: string): Promise<Buffer> =>
        (await server.get(`/v2/evil.test/${name}/blobs/${layer.digest}`)).bytes();
      expect((await get('honest/x')).equals(layer.bytes)).toBe(true);
      expect([evil.hits('GET blob'), evil.hits('HEAD blob')]).toEqual([1, 0]);
      await server.settled();
      for (const name of ['honest/x', 'honest/y', 'honest/y']) expect((await get(name)).equals(layer.bytes)).toBe(true);
      expect([evil.hits('GET blob'), evil.hits('HEAD blob')]).toEqual([1, 1]);
    },
    own,
  );

  scenario(
    'is believed for another repository of its own, held or arriving: a private layer is fetched once',
    async (stage) => {
      const { server, ann, layer } = await lair(stage);
      const { upstream: hub } = stage;
      const shared = randomBlob(LAYER_BYTES, 77);
      for (const name of PRIVATE) hub.blob(name, shared);
      const gate = createGate();
      hub.blob('acme/app', shared).holdAfter(HELD_AT, gate);
      const first = await ann.get(`/v2/acme/app/blobs/${shared.digest}`);
      await gate.reached;
      const second = await ann.get(`/v2/acme/other/blobs/${shared.digest}`);
      gate.open();
      for (const reply of [first, second]) expect((await reply.bytes()).equals(shared.bytes)).toBe(true);
      expect(hub.hits('GET blob')).toBe(1);

      expect((await (await ann.get(`/v2/acme/app/blobs/${layer.digest}`)).bytes()).equals(layer.bytes)).toBe(true);
      await server.settled();
      hub.blob('acme/other', layer);
      const held = await ann.get(`/v2/acme/other/blobs/${layer.digest}`);
      expect((await held.bytes()).equals(layer.bytes)).toBe(true);
      await until(
        async () => String((await ann.head(`/v2/acme/other/blobs/${layer.digest}`)).headers['cache-status']),
        (said) => said.startsWith('entrepot; hit'),
      );
      expect(hub.hits('GET blob')).toBe(2);
    },
    own,
  );

  scenario(
    'need not show it where anybody may have them',
    async (stage) => {
      const { upstream: hub } = stage;
      const other = await stage.addUpstream();
      const blob = randomBlob(LAYER_BYTES, 78);
      hub.blob('library/one', blob);
      other.blob('some/two', blob);
      const server = await stage.start({
        ...routesTo(hub),
        upstreams: { hub: { url: hub.url }, other: { url: other.url } },
        routes: [
          { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
          { match: '**', name: 'any', upstreams: ['other'] },
        ],
      });
      expect((await (await server.get(`/v2/library/one/blobs/${blob.digest}`)).bytes()).equals(blob.bytes)).toBe(true);
      await server.settled();
      const reply = await server.get(`/v2/evil.test/some/two/blobs/${blob.digest}`);
      expect((await reply.bytes()).equals(blob.bytes)).toBe(true);
      expect([other.hits('GET blob'), other.hits('HEAD blob')]).toEqual([0, 1]);
    },
    own,
  );
});
