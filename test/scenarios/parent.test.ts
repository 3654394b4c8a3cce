import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { scenario } from './harness.ts';
import { blobPath, manifestPath, refusalOf } from './paths.ts';
import { chainTo } from './settings.ts';

const own = { settings: null };

const NAMES = [
  ['docker.io', 'library/ubuntu', '/v2/ubuntu'],
  ['docker.io', 'acme/tool', '/v2/acme/tool'],
  ['ghcr.io', 'acme/tool', '/v2/ghcr.io/acme/tool'],
  ['localhost:5001', 'tool', '/v2/localhost:5001/tool'],
] as const;

describe('one parent for every route', () => {
  for (const [how, options, at] of [
    ['another mirror by path', { path: '{registry}' }, (registry: string, name: string) => `${registry}/${name}`],
    [
      'with a folder for each registry',
      { path: 'remote/{registry}/x' },
      (registry: string, name: string) => `remote/${registry}/x/${name}`,
    ],
    ['Harbor, with one project', { path: 'hub-proxy' }, (_: string, name: string) => `hub-proxy/${name}`],
  ] as const) {
    scenario(
      how,
      async (stage) => {
        const { upstream } = stage;
        const server = await stage.start({
          upstreams: { parent: { url: upstream.url, ...options } },
          routes: [{ match: '**', name: 'all', upstreams: ['parent'] }],
        });
        for (const [registry, name, path] of NAMES) {
          const image = upstream.image(at(registry, name), '1', { layers: [1000] });
          const [layer] = image.layers;
          expect(await (await server.get(`${path}/manifests/1`)).sha256()).toBe(image.top.digest);
          expect(await (await server.get(`${path}/blobs/${layer!.digest}`)).sha256()).toBe(layer!.digest);
          expect(await (await server.get(`${path}/tags/list`)).json()).toMatchObject({ tags: ['1'] });
        }
      },
      own,
    );
  }

  scenario(
    'another Entrepot by ns and by path, each name told apart there',
    async (stage) => {
      const { upstream } = stage;
      const registries = { path: '{registry}' };
      const parent = await stage.start(
        {
          upstreams: { far: { url: upstream.url, ...registries } },
          routes: [{ match: '**', name: 'all', upstreams: ['far'] }],
        },
        'parent',
      );
      const routes = (options: object) => ({
        upstreams: { parent: { url: parent.url, ...options } },
        routes: [{ match: '**', name: 'all', upstreams: ['parent'] }],
      });
      const [byNs, byPath] = [await stage.start(routes({ ns: true }), 'ns'), await stage.start(routes(registries), 'path')];
      for (const [index, [registry, name, path]] of NAMES.entries()) {
        const image = upstream.image(`${registry}/${name}`, '1', { layers: [1000 + index] });
        for (const server of [byNs, byPath])
          expect(await (await server.get(`${path}/manifests/1`)).sha256()).toBe(image.top.digest);
      }
    },
    own,
  );
});

describe('an upstream that is asked as often as its rate allows', () => {
  scenario(
    'leaves the rest to the next one in the chain',
    async (stage) => {
      const [first, second] = [stage.upstream, await stage.addUpstream()];
      const server = await stage.start(chainTo({ first: { url: first.url, rate: '1/h' }, second: { url: second.url } }));
      for (let turn = 1; turn <= 5; turn++) {
        const blob = randomBlob(100, turn);
        for (const upstream of [first, second]) upstream.blob('library/alpine', blob);
        expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      }
      expect([first.requests.length, second.requests.length]).toEqual([1, 4]);
    },
    own,
  );

  scenario(
    'and without a next one the client is told when to come back',
    async (stage) => {
      const { upstream } = stage;
      const server = await stage.start(chainTo({ hub: { url: upstream.url, rate: '60/h' } }));
      await server.get(manifestPath('1'));
      const refused = await server.get(manifestPath('2'));
      expect(await refusalOf(refused)).toBe('429 TOOMANYREQUESTS');
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(30);
    },
    own,
  );
});
