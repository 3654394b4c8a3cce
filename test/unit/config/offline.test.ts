import { expect, test } from 'vitest';
import { load } from './load.ts';

const TWO =
  'routes: [{ match: "a.test/**", upstreams: [origin] }, { match: "b.test/**", upstreams: [origin], offline: false }]';

const offlineOf = async (yaml: string): Promise<boolean[]> => (await load(yaml)).routes.map(({ policy }) => policy.offline);

test.each([
  ['nothing', TWO, [false, false]],
  ['the default, which a route may overrule', `defaults: { offline: true }\n${TWO}`, [true, false]],
  ['the top, which none may', `offline: true\n${TWO}`, [true, true]],
  ['the top, false: as the routes say', `offline: false\ndefaults: { offline: true }\n${TWO}`, [true, false]],
  ['the top, of the mode of the official registry', 'offline: true\nproxy: { remoteurl: "https://r.test" }', [true]],
])('offline by %s', async (_what, yaml, expected) => {
  expect(await offlineOf(yaml)).toEqual(expected);
});

test('an offline route needs no upstreams, wherever that is said', async () => {
  for (const yaml of [
    'routes: [{ match: "**", offline: true }]',
    'offline: true\nroutes: [{ match: "**" }]',
    'defaults: { offline: true }\nroutes: [{ match: "**" }]',
  ])
    expect((await load(yaml)).routes).toMatchObject([{ upstreams: [], deny: false, policy: { offline: true } }]);
});

test('platforms without prefetch are told of: they would limit nothing', async () => {
  const routed = (keys: string): Promise<readonly string[]> =>
    load(`routes: [{ match: "**", upstreams: [origin], platforms: linux/amd64${keys} }]`).then(({ warnings }) => warnings);
  expect(await routed('')).toEqual([
    'routes[0].platforms has no effect here: nothing is filled in the background without prefetch',
  ]);
  expect(await routed(', prefetch: layers')).toEqual([]);
});
