import { expect } from 'vitest';
import { sleep, systemClock } from '../../src/system/clock.ts';
import { buildImage, type Image } from '../fakes/images.ts';
import { sized, table } from '../scenarios/acceptance.ts';
import { scenario, times } from '../scenarios/harness.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { pushImage } from '../scenarios/push.ts';

const KILLS = sized(8, 300);
const PUSHERS = 4;

/** What a client was told: this tag names this image. */
type Told = Map<string, Image>;

scenario(
  `${KILLS} times kill -9 at any moment of pushes: what was acknowledged is whole`,
  async (stage) => {
    const told: Told = new Map();
    let server = await stage.startProcess({});
    let images = 0;
    for (const kill of times(KILLS, (at) => at)) {
      const pushers = times(PUSHERS, async () => {
        for (;;) {
          images += 1;
          const image = buildImage({ label: `image ${images}`, layers: [200_000 + (images % 7) * 100_000] });
          const name = `app${images % 5}`;
          const tag = `t${images % 11}`;
          const reply = await pushImage(server, `/v2/team/${name}`, tag, image);
          expect(reply.status).toBe(201);
          told.set(`${name}:${tag}`, image);
        }
      });
      const ended = Promise.allSettled(pushers);
      await sleep(systemClock, 100 + ((kill * 137) % 400));
      expect(await server.kill('SIGKILL')).toBe('SIGKILL');
      const failures = (await ended).map((one) => (one.status === 'rejected' ? String(one.reason) : 'went on'));
      expect(
        failures.filter((text) => !/ECONNRESET|ECONNREFUSED|socket hang up|EPIPE|before its body was whole|aborted/.test(text)),
      ).toEqual([]);
      server = await stage.startProcess({});
      await tagsAreWhole(server);
    }
    for (const [name, image] of told) await isHeld(server, name, image);
    table('kill -9 during pushes', { kills: KILLS, 'images pushed': images, 'tags acknowledged': told.size });
    expect(told.size).toBeGreaterThan(5);
  },
  { settings: null, timeoutMs: 120_000 + KILLS * 5000 },
);

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

/** Of a tag that several pushers move any of their images may have come last; but some image that is whole. */
async function tagsAreWhole(server: RunningProcess): Promise<void> {
  for (const name of times(5, (at) => `app${at}`)) {
    const list = await server.get(`/v2/team/${name}/tags/list`);
    if (list.status === 404) continue;
    for (const tag of (await list.json<{ tags: string[] }>()).tags) {
      const manifest = await (await server.get(`/v2/team/${name}/manifests/${tag}`)).json<Manifest>();
      for (const { digest } of [manifest.config, ...manifest.layers]) {
        expect(await (await server.get(`/v2/team/${name}/blobs/${digest}`)).sha256()).toBe(digest);
      }
    }
  }
}

/** By its digest, since the tag may have moved on: an acknowledged manifest stays until it is deleted. */
async function isHeld(server: RunningProcess, name: string, image: Image): Promise<void> {
  const [repository] = name.split(':');
  expect(await (await server.get(`/v2/team/${repository}/manifests/${image.top.digest}`)).sha256()).toBe(image.top.digest);
  for (const { digest } of [...image.layers, ...image.configs]) {
    expect(await (await server.get(`/v2/team/${repository}/blobs/${digest}`)).sha256()).toBe(digest);
  }
}
