import { describe, expect, test } from 'vitest';
import { load, refusal, ROUTES } from './load.ts';

const upstream = (written: string): string => `upstreams: { a: { url: "https://x.test", ${written} } }\n${ROUTES}`;

describe("what keeps to an upstream's measure", () => {
  test.each([
    ['rate: 10', { rate: 10 }],
    ['rate: 10/s', { rate: 10 }],
    ['rate: 600/m', { rate: 10 }],
    ['rate: 1800/h', { rate: 0.5 }],
    ['bandwidth: 50MB', { bandwidth: 50_000_000 }],
    ['bandwidth: 1.5MiB/s', { bandwidth: 1_572_864 }],
    ['bandwidth: 64kb', { bandwidth: 64_000 }],
    ['check: 30s', { check: 30_000 }],
    ['path: "{registry}"', { path: '{registry}' }],
    ['path: "mirror/{registry}/x"', { path: 'mirror/{registry}/x' }],
    ['ns: true', { rate: undefined, bandwidth: undefined, check: undefined, path: '' }],
  ])('%s', async (written, wanted) => {
    expect((await load(upstream(written))).upstreams.get('a')).toMatchObject(wanted);
  });

  const RATE = 'rate: expected how often, such as 10 (a second), 600/m or 5000/h';
  const BANDWIDTH = 'bandwidth: expected bytes per second, 64KB or more, such as 50MB';
  const PATH = 'path: expected the beginning of a repository, such as hub-proxy or mirror/{registry}';
  test.each([
    ['rate: 0', RATE],
    ['rate: -1', RATE],
    ['rate: 10/d', RATE],
    ['bandwidth: 50MBps', BANDWIDTH],
    ['bandwidth: 50 M', `${BANDWIDTH}; did you mean "50MB"?`],
    ['bandwidth: 50000000', `${BANDWIDTH}; did you mean "50000000B"?`],
    ['bandwidth: 10KB', BANDWIDTH],
    ['bandwidth: 9999999TB', BANDWIDTH],
    ['check: 10ms', 'check: expected a duration from 1000ms to 24h, such as 30s'],
    ['path: "/Hub-Proxy/"', `${PATH}; did you mean "hub-proxy"?`],
    ['path: "{Registry}"', `${PATH}; did you mean "{registry}"?`],
    ['path: "x{registry}"', PATH],
    ['path: "{repository}"', PATH],
    ['path: "a//b"', PATH],
    ['path: "../{registry}"', PATH],
  ])('%s is refused', async (written, fault) => {
    expect(await refusal(upstream(written))).toContain(`upstreams.a.${fault}`);
  });
});

test('hedge where nobody else could be asked is told of: it would do nothing', async () => {
  const routed = (keys: string): Promise<readonly string[]> =>
    load(`upstreams: { a: { url: "https://x.test" } }\nroutes: [{ match: "**", ${keys} }]`).then(({ warnings }) => warnings);
  const NONE = ['routes[0].hedge has no effect here: there is no other upstream to ask'];
  expect(await routed('hedge: true, upstreams: [a]')).toEqual(NONE);
  expect(await routed('hedge: true, upstreams: [hosted, a]')).toEqual(NONE);
  expect(await routed('hedge: true, upstreams: [a, origin]')).toEqual([]);
});
