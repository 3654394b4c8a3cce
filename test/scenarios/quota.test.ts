import { join } from 'node:path';
import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { buildImage, randomBlob } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import { pushBlob, pushImage } from './push.ts';
import type { Settings } from './settings.ts';

const own = { settings: null };
const APP = '/v2/team/app';
const quota = (size: string): Settings => ({
  names: { default: 'local' },
  routes: [{ match: 'local/**', name: 'own', upstreams: ['hosted'], quota: size }],
});
const parts = (stage: Stage): Promise<string[]> => readdir(join(stage.directory, 'data', 'entrepot/parts'));

scenario(
  'what would pass the quota is refused with a sentence that says so, and what is there stays',
  async (stage) => {
    const server = await stage.start(quota('10KB'));
    expect((await pushImage(server, APP, '1', buildImage({ layers: [1000] }))).status).toBe(201);
    const refused = await pushBlob(server, '/v2/team/other', randomBlob(9000));
    expect(refused.status).toBe(403);
    const { errors } = JSON.parse(await refused.text()) as { errors: { code: string; message: string; detail: unknown }[] };
    expect(errors[0]).toMatchObject({ code: 'DENIED', detail: { route: 'own', limit: 10_000, reserved: 0, asked: 9000 } });
    expect(errors[0]?.message).toMatch(
      /^the quota of the route own is 10000 bytes: with \d+ bytes held it has no room for 9000 more/,
    );
    expect(await parts(stage)).toEqual([]);
    expect((await server.get('/v2/team/app/manifests/1')).status).toBe(200);
    expect((await pushBlob(server, '/v2/team/other', randomBlob(2000))).status).toBe(201);
  },
  own,
);

scenario(
  'lowered by a reload, new pushes are refused and nothing is deleted',
  async (stage) => {
    const server = await stage.start(quota('10KB'));
    const image = buildImage({ layers: [1000] });
    expect((await pushImage(server, APP, '1', image)).status).toBe(201);
    await server.reload(quota('1KB'));
    expect((await pushBlob(server, APP, randomBlob(1, 5))).status).toBe(403);
    expect((await server.get(`${APP}/blobs/${image.layers[0]!.digest}`)).status).toBe(200);
    await server.reload(quota('20KB'));
    expect((await pushBlob(server, APP, randomBlob(1, 5))).status).toBe(201);
  },
  own,
);
