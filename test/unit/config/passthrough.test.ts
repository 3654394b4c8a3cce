import { describe, expect, test } from 'vitest';
import { load, refusal } from './load.ts';

const FILES = { '/htpasswd': '', '/jwks': '{"keys":[]}' };
const route = (more = ''): string => `routes: [{ match: "ghcr.io/**", upstreams: [origin], passthrough: true${more} }]`;
const through = (upstream: string): string =>
  `upstreams: { up: { url: "https://registry.test"${upstream} } }\nroutes: [{ match: "ghcr.io/**", upstreams: [up], passthrough: true }]`;
const HTPASSWD = 'auth: { htpasswd: { path: /htpasswd } }\n';
const ANYONE = 'access: [{ match: "**", pull: [anyone] }]\n';

describe('passthrough', () => {
  test.each([
    route(),
    `${HTPASSWD}${ANYONE}${route()}`,
    `${HTPASSWD}access: [{ match: "ghcr.io/**", pull: [anyone] }, { match: "**", pull: [signed-in] }]\n${route()}`,
    through(''),
    through(', username: u, password: p'),
  ])('%s', async (yaml) => {
    const config = await load(yaml, { files: FILES });
    expect(config.routes[0]?.passthrough).toBe(true);
    expect([...config.upstreams.values()].map(({ use }) => use).includes('all')).toBe(false);
  });

  test('is off unless it is written', async () => {
    const config = await load('routes: [{ match: "**", upstreams: [origin] }]');
    expect(config.routes[0]?.passthrough).toBe(false);
  });

  test.each([
    ['routes: [{ match: "a.test/**", upstreams: [hosted], passthrough: true }]', 'expected one upstream in the chain'],
    ['routes: [{ match: "a.test/**", deny: true, passthrough: true }]', 'expected one upstream in the chain'],
    [route(', offline: true'), 'expected one upstream in the chain'],
    [`offline: true\n${route()}`, 'expected one upstream in the chain'],
    [
      'upstreams: { up: { url: "https://registry.test" } }\nroutes: [{ match: "a.test/**", upstreams: [up, origin], passthrough: true }]',
      'expected one upstream in the chain',
    ],
    [`${ANYONE}${through(', username: u, password: p, use: all')}`, 'expected use: quota at upstreams.up'],
    [through(', headers: { x-key: s }'), 'expected neither headers nor tls.certificate at upstreams.up'],
    [
      `auth: { token: { realm: "https://t.test/token", service: s, issuer: i, jwks: /jwks } }\n${ANYONE}${route()}`,
      'expected no auth.token',
    ],
    [`${HTPASSWD}${route()}`, 'expected a rule under access that lets anyone pull here'],
    [
      `${HTPASSWD}access: [{ match: "**", pull: [signed-in] }]\n${route()}`,
      'expected a rule under access that lets anyone pull here',
    ],
  ])('%s is an error that says what is', async (yaml, expected) => {
    const message = await refusal(yaml, { files: FILES });
    expect(message).toContain('routes[0].passthrough');
    expect(message).toContain(expected);
  });

  test.each([
    ['', true],
    ['http: { addr: "127.0.0.1:5000" }\n', false],
    ['http: { host: "https://mirror.test" }\n', false],
    ['http: { host: "http://mirror.test" }\n', true],
  ])('%swarns of passwords in the clear: %s', async (http, warns) => {
    const { warnings } = await load(`${http}${route()}`);
    expect(warnings.some((warning) => warning.includes('cross the network in the clear'))).toBe(warns);
  });

  test('stands at a route alone', async () => {
    expect(await refusal(`defaults: { passthrough: true }\n${route()}`)).toContain('defaults.passthrough: is not a key here');
  });
});
