import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { load, refusal } from './load.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/config/${name}`, import.meta.url), 'utf8');
const HUB = 'upstreams: { hub: { url: "https://x.test" } }\n';
const route = (rest: string): string => `${HUB}routes: [{ match: "**", ${rest} }]`;

describe('hosted in a chain', () => {
  test.each([
    ['upstreams: hosted', { upstreams: ['hosted'], push: true, shadow: false }],
    ['upstreams: [hosted], push: false', { push: false }],
    ['upstreams: [hosted, hub]', { upstreams: ['hosted', 'hub'], push: false, shadow: false }],
    ['upstreams: [hub, hosted], push: true', { upstreams: ['hub', 'hosted'], push: true, shadow: false }],
    ['upstreams: [hosted, hub], push: true, shadow: true', { push: true, shadow: true }],
    ['upstreams: [hosted, origin], offline: true', { push: false, policy: { offline: true } }],
    ['upstreams: [hub]', { push: false, shadow: false }],
  ])('%s', async (written, expected) => {
    expect((await load(route(written))).routes).toMatchObject([expected]);
  });

  test.each([
    ['upstreams: [hub], push: true', 'routes[0].push: expected hosted among the upstreams'],
    ['upstreams: [hub], shadow: true', 'routes[0].shadow: expected hosted among the upstreams'],
    ['deny: true, push: true', 'routes[0].push: expected hosted among the upstreams'],
    ['upstreams: [hosted, hosted]', 'routes[0].upstreams[1]: expected each upstream once in a chain'],
    ['upstreams: [hosted], deny: true', 'routes[0].upstreams: expected either deny or upstreams'],
    ['upstreams: [hostd]', 'did you mean "hosted"?'],
    ['upstreams: [hosted], push: perhaps', 'routes[0].push: expected'],
  ])('%s is refused', async (written, message) => {
    expect(await refusal(route(written))).toContain(message);
  });

  test.each([
    ['{ match: "v*", keep: forever }', { match: ['v*'], keep: 'forever' }],
    ['{ match: [a, "b*"], unpulled: 14d }', { match: ['a', 'b*'], unpulled: 14 * 86_400_000 }],
    ['{ match: "*", newest: 50 }', { match: ['*'], newest: 50 }],
  ])('retention: [%s]', async (line, expected) => {
    const [written] = (await load(route(`upstreams: [hosted], retention: [${line}]`))).routes;
    expect(written?.policy.retention).toEqual([expected]);
    const [inherited] = (await load(`defaults: { retention: [${line}] }\n${route('upstreams: [hosted]')}`)).routes;
    expect(inherited?.policy.retention).toEqual([expected]);
  });

  test.each([
    ['upstreams: [hosted], retention: [{ match: "v*" }]', 'routes[0].retention[0]: expected one of keep: forever'],
    ['upstreams: [hosted], retention: [{ match: a, newest: 1, unpulled: 1d }]', 'retention[0]: expected one of keep: forever'],
    ['upstreams: [hosted], retention: [{ match: [], newest: 1 }]', 'retention[0].match: expected at least one pattern'],
    ['upstreams: [hosted], retention: [{ match: a, newest: 0 }]', 'routes[0].retention[0].newest: expected'],
    ['upstreams: [hosted], retention: [{ match: a, keep: 3 }]', 'routes[0].retention[0].keep: expected'],
    ['upstreams: [hosted], retention: [{ newest: 3 }]', 'routes[0].retention[0].match'],
    ['upstreams: [hosted], retention: [{ match: "!a", newest: 3 }]', 'routes[0].retention[0].match'],
    ['upstreams: [hub], retention: [{ match: a, newest: 3 }]', 'routes[0].retention: expected hosted among the upstreams'],
  ])('%s is refused', async (written, message) => {
    expect(await refusal(route(written))).toContain(message);
  });

  test.each([
    ['upstreams: [hosted], quota: 50GiB', 50 * 1024 ** 3],
    ['upstreams: [hosted, hub], quota: 500MB', 500_000_000],
    ['upstreams: [hosted]', undefined],
  ])('%s limits what is pushed', async (written, bytes) => {
    expect((await load(route(written))).routes[0]?.policy.quota).toBe(bytes);
  });

  test('quota under defaults is of each route, and of a plain registry', async () => {
    const [own] = (await load(`defaults: { quota: 1GiB }\n${route('upstreams: [hosted]')}`)).routes;
    expect(own?.policy.quota).toBe(1024 ** 3);
    expect((await load('defaults: { quota: 1GiB }')).routes[0]?.policy.quota).toBe(1024 ** 3);
  });

  test.each([
    ['upstreams: [hosted], quota: 50', 'routes[0].quota: expected a size such as 500MB or 50GiB; did you mean "50B"?'],
    ['upstreams: [hosted], quota: 50 GiB', 'did you mean "50GiB"?'],
    ['upstreams: [hosted], quota: -1GB', 'routes[0].quota: expected a size'],
    ['upstreams: [hub], quota: 5GB', 'routes[0].quota: expected hosted among the upstreams'],
  ])('%s is refused', async (written, message) => {
    expect(await refusal(route(written))).toContain(message);
  });

  test('shadow: true where nobody could be shadowed is told', async () => {
    const { warnings } = await load('routes: [{ match: "**", upstreams: [hosted], shadow: true }]');
    expect(warnings).toEqual([expect.stringContaining('routes[0].shadow has no effect here')]);
  });

  test('an upstream may not be called hosted', async () => {
    expect(await refusal('upstreams: { hosted: { url: "https://x.test" } }\nroutes: []')).toContain('hosted is built in');
  });
});

describe('a plain registry', () => {
  const PLAIN = {
    mode: 'plain',
    names: { default: 'local' },
    routes: [{ name: 'local', match: ['**'], upstreams: ['hosted'], push: true }],
  };

  test.each([
    ['a file that says where its data is', 'version: 0.1\nstorage: { filesystem: { rootdirectory: /x } }\n', {}],
    ['an empty proxy', 'proxy: {}', {}],
    ['the environment alone', undefined, { env: { REGISTRY_HTTP_ADDR: ':5000' } }],
  ])('%s', async (_, yaml, given) => {
    expect(await load(yaml, given)).toMatchObject(PLAIN);
  });

  test.each(['', ' \n'])('an empty file %j is none either: an editor may be about to write it', async (written) => {
    await expect(load(written)).rejects.toThrow('expected a configuration: it is empty');
  });

  test('no configuration at all is none', async () => {
    expect(await load(undefined)).toMatchObject({ mode: 'unconfigured', http: { addr: { host: '127.0.0.1' } } });
  });

  test("its own name may be a metric's label", async () => {
    expect((await load('version: 0.1')).registries).toContain('local');
  });

  test.each([
    ['credentials: { docker.io: { username: a, password: b } }', 'credentials: expected routes'],
    [HUB, 'upstreams: expected routes'],
    ['names: { self: [registry.acme.test] }', 'names: expected routes'],
    ['names: { default: quay.io }', 'names: expected routes'],
  ])('what it would ignore is refused: %s', async (yaml, message) => {
    expect(await refusal(yaml)).toContain(message);
  });

  test.each(['plain-2.yml', 'plain-3.yml'])("the official registry's sample %s loads as it is", async (name) => {
    const config = await load(fixture(name));
    expect(config).toMatchObject({
      ...PLAIN,
      http: { addr: { host: undefined, port: 5000 } },
      storage: { rootdirectory: '/var/lib/registry' },
      health: { storagedriver: { interval: 10_000, threshold: 3 } },
      log: { fields: { service: 'registry' } },
    });
    expect(config.warnings.every((warning) => /^storage\.(cache|tag) has no effect here/.test(warning))).toBe(true);
  });
});
