import { describe, expect, test } from 'vitest';
import { load, refusal, ROUTES } from './load.ts';

const HOUR_MS = 3_600_000;

describe('how much is kept', () => {
  test('without a maxsize the watermarks are shares of the disk, below the point where Kubernetes declares pressure', async () => {
    const { cache, warnings } = await load(ROUTES);
    expect(cache).toEqual({ maxBytes: undefined, watermarks: { high: 0.8, low: 0.75 }, keepFree: 0.1 });
    expect(warnings).toEqual([]);
  });

  test('with a maxsize they are shares of that', async () => {
    const { cache } = await load(`cache: { maxsize: 50GiB }\n${ROUTES}`);
    expect(cache).toEqual({ maxBytes: 50 * 1024 ** 3, watermarks: { high: 0.95, low: 0.85 }, keepFree: 0.1 });
  });

  test('what is written is taken', async () => {
    const { cache } = await load(`cache: { maxsize: 500MB, watermarks: { high: 90%, low: 62.5% }, keepfree: 0% }\n${ROUTES}`);
    expect(cache).toEqual({ maxBytes: 500_000_000, watermarks: { high: 0.9, low: 0.625 }, keepFree: 0 });
  });

  test('the environment sets it too', async () => {
    const { cache } = await load(ROUTES, { env: { REGISTRY_CACHE_MAXSIZE: '2GiB', REGISTRY_CACHE_KEEPFREE: '5%' } });
    expect(cache).toMatchObject({ maxBytes: 2 * 1024 ** 3, keepFree: 0.05 });
  });

  test('it is shown, with the pins', async () => {
    const { shown } = await load(`cache: { maxsize: 1GiB }\ndefaults: { pin: a.test/b }\n${ROUTES}`);
    expect(shown()).toMatchObject({ cache: { maxsize: '1GiB', keepfree: '10%' }, defaults: { pin: ['a.test/b'] } });
  });

  test.each([
    ['cache: { maxsize: 50 }', 'config.yml:1:19: cache.maxsize: expected a size of 16MiB or more, such as 50GiB'],
    [
      'cache: { maxsize: 50 Gi }',
      'config.yml:1:19: cache.maxsize: expected a size of 16MiB or more, such as 50GiB; did you mean "50GiB"?',
    ],
    ['cache: { maxsize: 15MiB }', 'config.yml:1:19: cache.maxsize: expected a size of 16MiB or more, such as 50GiB'],
    ['cache: { watermarks: { low: 80% } }', 'config.yml:1:29: cache.watermarks.low: expected a share below high, which is 80%'],
    [
      'cache: { maxsize: 1GiB, watermarks: { high: 85% } }',
      'config.yml:1:45: cache.watermarks.high: expected a share above low, which is 85%',
    ],
    [
      'cache: { watermarks: { high: 70%, low: 90% } }',
      'config.yml:1:40: cache.watermarks.low: expected a share below high, which is 70%',
    ],
    ['cache: { watermarks: { high: 101% } }', 'config.yml:1:30: cache.watermarks.high: expected a percentage from 2% to 100%'],
    ['cache: { keepfree: 10 }', 'config.yml:1:20: cache.keepfree: expected a percentage from 0% to 90%; did you mean "10%"?'],
    ['cache: { keepfree: 95% }', 'config.yml:1:20: cache.keepfree: expected a percentage from 0% to 90%'],
    ['cache: { maxsiz: 1GiB }', 'config.yml:1:10: cache.maxsiz: is not a key here; did you mean "maxsize"?'],
    ['maxsize: 1GiB', 'config.yml:1:1: maxsize: is not a key here; did you mean "cache.maxsize"?'],
    ['storage: { maxsize: 1GiB }', 'config.yml:1:12: storage.maxsize: is not a key here; did you mean "cache.maxsize"?'],
  ])('%s', async (yaml, message) => {
    expect(await refusal(`${yaml}\n${ROUTES}`)).toBe(message);
  });
});

describe('what goes for its age', () => {
  const maxAges = async (yaml: string) => (await load(yaml)).routes.map(({ policy }) => policy.maxAgeMs);

  test('nothing, unless it is written; a route may take back what the defaults say', async () => {
    const two = (maxage: string): string =>
      `routes: [{ match: a.test/**, upstreams: [origin]${maxage} }, { match: b.test/**, upstreams: [origin] }]`;
    expect(await maxAges(two(''))).toEqual([undefined, undefined]);
    expect(await maxAges(two(', maxage: 30d'))).toEqual([720 * HOUR_MS, undefined]);
    expect(await maxAges(`defaults: { maxage: 168h }\n${two(', maxage: forever')}`)).toEqual([undefined, 168 * HOUR_MS]);
  });

  test.each([
    ['0', '; did you mean "forever"?'],
    ['10s', ''],
    ['7', ''],
  ])('maxage: %s is too little to be meant', async (written, hint) => {
    expect(await refusal(`defaults: { maxage: ${written} }\n${ROUTES}`)).toBe(
      `config.yml:1:21: defaults.maxage: expected a duration of 1m or more, such as 168h or 30d, or forever${hint}`,
    );
  });

  test.each([
    ['48h', 48 * HOUR_MS],
    ['0', undefined],
    ['0s', undefined],
    ['-1', undefined],
    ['-1h', undefined],
    ['1s', 60_000],
  ])("proxy.ttl: %s, as the official registry's: 0 and less are never", async (written, expected) => {
    expect(await maxAges(`proxy: { remoteurl: "https://a.test", ttl: ${written} }`)).toEqual([expected]);
  });

  test('without proxy.ttl nothing goes for its age, or what the defaults say', async () => {
    expect(await maxAges('proxy: { remoteurl: "https://a.test" }')).toEqual([undefined]);
    expect(await maxAges('defaults: { maxage: 2h }\nproxy: { remoteurl: "https://a.test" }')).toEqual([2 * HOUR_MS]);
    expect(await maxAges('defaults: { maxage: 2h }\nproxy: { remoteurl: "https://a.test", ttl: 0 }')).toEqual([undefined]);
  });
});

describe('pins', () => {
  const pins = async (yaml: string) => (await load(yaml)).routes.map(({ policy }) => policy.pin);
  const route = (pin: string): string => `routes: [{ match: "**", upstreams: [origin], pin: ${pin} }]`;

  test('a route has its own or those of the defaults', async () => {
    expect(await pins(route('["a.test/b", "a.test/c:v*", "localhost:5000/d", "**"]'))).toEqual([
      ['a.test/b', 'a.test/c:v*', 'localhost:5000/d', '**'],
    ]);
    expect(await pins(`defaults: { pin: a.test/b }\n${ROUTES}`)).toEqual([['a.test/b']]);
    expect(await pins(`defaults: { pin: a.test/b }\n${route('[]')}`)).toEqual([[]]);
  });

  test.each([
    [
      'ubuntu:22.04',
      'expected a pattern with a slash, over registry/repository (only ** and well-known stand alone); did you mean "docker.io/library/ubuntu:22.04"?',
    ],
    ['Docker.io/a:B', 'expected lower case, as all names are; did you mean "docker.io/a:B"?'],
    ['"a.test/b:{x,y}"', 'expected a pattern of names, * and **, found "{": extglobs, braces and brackets are not understood'],
    ['"a.test/b:"', 'expected a pattern, found nothing'],
    ['well-known', 'expected a pattern over registry/repository, such as docker.io/library/*'],
    ['"!a.test/b"', 'expected a pattern without negation: put a route with deny: true before it'],
  ])('%s', async (written, expected) => {
    expect(await refusal(route(written))).toBe(`config.yml:1:51: routes[0].pin: ${expected}`);
  });
});
