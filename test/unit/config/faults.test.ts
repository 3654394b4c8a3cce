import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { load, passwordOf, refusal, ROUTES } from './load.ts';

/** What is written, and the whole message: file, line, column, key, what was expected, and what may have been meant. */
const FAULTS: readonly (readonly [title: string, yaml: string, message: string])[] = [
  ['unknown key', `http:\n  adr: :5000\n${ROUTES}`, 'config.yml:2:3: http.adr: is not a key here; did you mean "addr"?'],
  ['unknown section', `htp: {}\n${ROUTES}`, 'config.yml:1:1: htp: is not a key here; did you mean "http"?'],
  [
    'key of another section',
    `http:\n  rootdirectory: /x\n${ROUTES}`,
    'config.yml:2:3: http.rootdirectory: is not a key here; did you mean "storage.filesystem.rootdirectory"?',
  ],
  ['key like nothing', `zzzzzz: 1\n${ROUTES}`, 'config.yml:1:1: zzzzzz: is not a key here'],
  [
    'address',
    `http:\n  addr: 5000\n${ROUTES}`,
    'config.yml:2:9: http.addr: expected an address such as :5000, 127.0.0.1:5000 or [::1]:5000; did you mean ":5000"?',
  ],
  ['section that is a text', `http: yes\n${ROUTES}`, 'config.yml:1:7: http: expected a section of keys'],
  ['list that is a section', 'routes: { a: 1 }\n', 'config.yml:1:9: routes: expected a list'],
  ['map that is a list', `upstreams: [a]\n${ROUTES}`, 'config.yml:1:12: upstreams: expected a section of names'],
  [
    'duration',
    `defaults: { tagttl: 5 minutes }\n${ROUTES}`,
    'config.yml:1:21: defaults.tagttl: expected a duration such as 30s, 5m, 168h or 30d; did you mean "5m"?',
  ],
  [
    'duration without a unit',
    `defaults: { tagttl: 300 }\n${ROUTES}`,
    'config.yml:1:21: defaults.tagttl: expected a duration such as 30s, 5m, 168h or 30d; did you mean "300s"?',
  ],
  [
    'pattern without quotes',
    'routes:\n  - match: **\n    upstreams: [origin]\n',
    'config.yml:2:12: expected an alias of something that stands before it; a pattern that begins with * has to stand in quotes',
  ],
  ['tab', `http:\n\taddr: :5000\n${ROUTES}`, 'config.yml:2:1: not YAML: expected blanks, found a tab as indentation'],
  [
    'key cut short',
    `storage: { filesystem: { rootdir: /x } }\n${ROUTES}`,
    'config.yml:1:26: storage.filesystem.rootdir: is not a key here; did you mean "rootdirectory"?',
  ],
  [
    'time limit',
    `http: { stalltimeout: 25d }\n${ROUTES}`,
    'config.yml:1:23: http.stalltimeout: expected a duration from 1ms to 24h, such as 30s',
  ],
  [
    'flag',
    `log: { accesslog: { disabled: maybe } }\n${ROUTES}`,
    'config.yml:1:31: log.accesslog.disabled: expected true or false',
  ],
  [
    'count',
    `health: { storagedriver: { threshold: 0 } }\n${ROUTES}`,
    'config.yml:1:39: health.storagedriver.threshold: expected a whole number from 1 to 1000000',
  ],
  [
    'reserve',
    'routes: [{ match: "**", upstreams: origin, ratelimit: { reserve: -1 } }]\n',
    'config.yml:1:66: routes[0].ratelimit.reserve: expected a whole number from 0 to 1000000000',
  ],
  [
    'reserve without its key',
    `defaults: { ratelimit: 10 }\n${ROUTES}`,
    'config.yml:1:24: defaults.ratelimit: expected a section of keys',
  ],
  [
    'reserve that is missing',
    'routes: [{ match: "**", upstreams: origin, ratelimit: {} }]\n',
    'config.yml:1:44: routes[0].ratelimit.reserve: is missing: expected a whole number from 0 to 1000000000',
  ],
  [
    'reserve under another name',
    `defaults: { ratelimit: { reserved: 10 } }\n${ROUTES}`,
    'config.yml:1:26: defaults.ratelimit.reserved: is not a key here; did you mean "reserve"?',
  ],
  [
    'word',
    `log:\n  level: inof\n${ROUTES}`,
    'config.yml:2:10: log.level: expected one of error, warn, info, debug; did you mean "info"?',
  ],
  ['version', `version: 0.2\n${ROUTES}`, 'config.yml:1:10: version: expected 0.1; did you mean "0.1"?'],
  [
    'URL with an account',
    `upstreams: { a: { url: "https://me:secret@x.test" } }\n${ROUTES}`,
    'config.yml:1:24: upstreams.a.url: expected a URL that begins with http:// or https://, without user, query or fragment',
  ],
  [
    'URL with /v2',
    `upstreams: { a: { url: "https://x.test/v2/" } }\n${ROUTES}`,
    'config.yml:1:24: upstreams.a.url: expected the address without /v2; did you mean "https://x.test"?',
  ],
  [
    'missing key',
    `upstreams:\n  a: { path: b }\n${ROUTES}`,
    'config.yml:2:3: upstreams.a.url: is missing: expected a URL that begins with http:// or https://, without user, query or fragment',
  ],
  [
    'upstream of a built-in name',
    `upstreams: { origin: { url: "https://x.test" } }\n${ROUTES}`,
    'config.yml:1:22: upstreams.origin: expected another name: origin is built in',
  ],
  [
    'unknown upstream',
    'upstreams: { hub-a: { url: "https://x.test" } }\nroutes:\n  - match: "**"\n    upstreams: [origin, hub-b]\n',
    'config.yml:4:25: routes[0].upstreams[1]: expected origin, hosted, or a name that stands under upstreams (hub-a); did you mean "hub-a"?',
  ],
  [
    'upstream twice',
    'routes: [{ match: "**", upstreams: [origin, origin] }]',
    'config.yml:1:45: routes[0].upstreams[1]: expected each upstream once in a chain',
  ],
  [
    'route without upstreams',
    'routes:\n  - match: "**"\n',
    'config.yml:2:5: routes[0].upstreams: expected the upstreams to ask, such as [origin] or [hosted]; or deny: true, or offline: true',
  ],
  [
    'platform',
    'routes: [{ match: "**", upstreams: [origin], prefetch: layers, platforms: [linux/amd64, arm64] }]',
    'config.yml:1:89: routes[0].platforms[1]: expected a platform such as linux/amd64 or linux/arm64/v8',
  ],
  [
    'what is filled ahead',
    'routes: [{ match: "**", upstreams: [origin], prefetch: layer }]',
    'config.yml:1:56: routes[0].prefetch: expected one of none, layers; did you mean "layers"?',
  ],
  [
    'what becomes of a tag that is gone',
    'routes: [{ match: "**", upstreams: [origin], ondelete: delete }]',
    'config.yml:1:56: routes[0].ondelete: expected one of keep, drop',
  ],
  [
    'deny with upstreams',
    'routes: [{ match: "**", deny: true, upstreams: [origin] }]',
    'config.yml:1:48: routes[0].upstreams: expected either deny or upstreams, not both',
  ],
  ['no routes', 'routes: []', 'config.yml:1:9: routes: expected at least one route'],
  [
    'two routes of one name',
    'routes:\n  - { match: "a.test/**", name: x, upstreams: [origin] }\n  - { match: "b.test/**", name: x, upstreams: [origin] }\n',
    'config.yml:3:5: routes[1]: expected another name than that of routes[0], x',
  ],
  [
    'pattern without slash',
    'routes: [{ match: docker.io, upstreams: [origin] }]',
    'config.yml:1:19: routes[0].match: expected a pattern with a slash, over registry/repository (only ** and well-known stand alone); did you mean "docker.io/**"?',
  ],
  [
    'pattern of an alias',
    'routes: [{ match: index.docker.io/**, upstreams: [origin] }]',
    'config.yml:1:19: routes[0].match: expected docker.io, as its images are called; did you mean "docker.io/**"?',
  ],
  [
    'pattern in upper case',
    'routes: [{ match: Docker.io/**, upstreams: [origin] }]',
    'config.yml:1:19: routes[0].match: expected lower case, as all names are; did you mean "docker.io/**"?',
  ],
  [
    'kind within metadata',
    `metadata: { kind: redis }\n${ROUTES}`,
    'config.yml:1:11: metadata: expected lmdb, redis, or a section with the path of the embedded store',
  ],
  [
    'key beside the path of metadata',
    `metadata: { pth: x }\n${ROUTES}`,
    'config.yml:1:13: metadata.pth: is not a key here; did you mean "path"?',
  ],
  [
    'negated pattern',
    'routes: [{ match: "!a.test/**", upstreams: [origin] }]',
    'config.yml:1:19: routes[0].match: expected a pattern without negation: put a route with deny: true before it',
  ],
  [
    'braces',
    'routes: [{ match: ["a.test/{b,c}"], upstreams: [origin] }]',
    'config.yml:1:20: routes[0].match[0]: expected a pattern of names, * and **, found "{": extglobs, braces and brackets are not understood',
  ],
  [
    'password without username',
    `upstreams: { a: { url: "https://x.test", password: p } }\n${ROUTES}`,
    'config.yml:1:17: upstreams.a: expected a username beside the password',
  ],
  [
    'username without password',
    `upstreams: { a: { url: "https://x.test", username: u } }\n${ROUTES}`,
    'config.yml:1:52: upstreams.a.username: expected a password or passwordfile beside it',
  ],
  [
    'secret file that is not there',
    `credentials: { docker.io: { username: u, passwordfile: hub } }\n${ROUTES}`,
    'config.yml:1:56: credentials."docker.io".passwordfile: expected a file, but there is no /etc/test/hub',
  ],
  [
    'credential for no registry',
    `credentials: { "https://docker.io": { username: u, password: p } }\n${ROUTES}`,
    'config.yml:1:16: credentials."https://docker.io": expected a registry or a part of it, such as docker.io or ghcr.io/acme',
  ],
  [
    'header with a line in it',
    `http: { headers: { X-A: ["b\\r\\nc: d"] } }\n${ROUTES}`,
    'config.yml:1:26: http.headers.X-A[0]: expected the value of a header, without control characters',
  ],
  [
    'network',
    `http: { trustedproxies: [10.0.0.0/33] }\n${ROUTES}`,
    'config.yml:1:26: http.trustedproxies[0]: expected an address or a block such as 10.0.0.0/8',
  ],
  [
    'redis without a server',
    `metadata: redis\n${ROUTES}`,
    'config.yml:1:1: redis.addr: is missing: expected the address of the server, such as localhost:6379',
  ],
  [
    'metadata of another kind',
    `metadata: sqlite\n${ROUTES}`,
    'config.yml:1:11: metadata: expected lmdb, redis, or a section with the path of the embedded store',
  ],
  [
    'proxy beside routes',
    `proxy: { remoteurl: "https://x.test" }\n${ROUTES}`,
    'config.yml:2:9: routes: expected either this or proxy, which is one route by itself: write its remoteurl as an upstream instead',
  ],
  [
    'proxy without remote',
    'proxy: { username: u, password: p }\n',
    'config.yml:1:1: proxy.remoteurl: is missing: expected the URL of the registry to mirror',
  ],
  [
    'key twice',
    `http: {}\nlog: {}\nhttp: {}\n${ROUTES}`,
    'config.yml:3:1: expected each key once, but this one stands here a second time',
  ],
  ['two documents', `${ROUTES}---\n${ROUTES}`, 'config.yml:2:1: expected one YAML document, but there are several'],
  ['text as a whole', 'hello', 'config.yml:1:1: expected sections such as http: and storage:'],
  [
    'variable that is not set',
    `http: { addr: "\${ADDR}" }\n${ROUTES}`,
    'config.yml:1:15: http.addr: expected the environment to hold ADDR, or a default as in ${ADDR:-default}',
  ],
  ['prototype as key', `http: { headers: { __proto__: x } }\n${ROUTES}`, 'config.yml:1:20: expected a name as key'],
];

describe('a wrong file is refused with file, line, column, key and what was expected', () => {
  test.each(FAULTS)('%s', async (_, yaml, message) => {
    expect(await refusal(yaml)).toBe(message);
  });

  test('every fault is told at once, in the order of the file', async () => {
    const message = await refusal(`http:\n  addr: x\n  nonsense: 1\nlog: { level: loud }\n${ROUTES}`);
    expect(message.split('\n').map((line) => line.split(': ')[0])).toEqual([
      'config.yml:2:9',
      'config.yml:3:3',
      'config.yml:4:15',
    ]);
  });

  test('broken YAML is told where it breaks', async () => {
    expect(await refusal('http:\n  addr: [1\nlog: {}\n')).toMatch(/^config\.yml:3:1: not YAML: /);
  });

  test('a file that is named and is not there', async () => {
    expect(await refusal(undefined, { env: { ENTREPOT_CONFIG: 'other.yml' } })).toBe(
      '/etc/test/other.yml: there is no such file, though ENTREPOT_CONFIG names it',
    );
  });

  test('no secret is ever quoted', async () => {
    const yaml =
      'proxy: { remoteurl: "https://x.test?k=hunter2", username: [hunter2], password: { a: hunter2 } }\nhttp: { addr: hunter2 }\n';
    expect(await refusal(yaml)).not.toContain('hunter2');
  });
});

describe('files that cannot be read', () => {
  const failing = (failure: string): Promise<unknown> =>
    loadConfig({
      env: {},
      directory: '/etc/test',
      readFile: (path) =>
        path.endsWith(failure)
          ? Promise.reject(Object.assign(new Error('permission denied'), { code: 'EACCES' }))
          : Promise.resolve(`credentials: { docker.io: { username: u, passwordfile: hub } }\n${ROUTES}`),
    });

  test('the configuration itself', async () => {
    await expect(failing('/etc/entrepot/config.yml')).rejects.toThrow('/etc/entrepot/config.yml: may not be read by this user');
  });

  test('a secret', async () => {
    await expect(failing('/hub')).rejects.toThrow(
      '/etc/entrepot/config.yml:1:56: credentials."docker.io".passwordfile: expected a file that can be read at /etc/entrepot/hub (EACCES)',
    );
  });
});

describe('limits', () => {
  test('an alias bomb is refused and never unfolded', async () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 12; level += 1) bomb.push(`a${level}: &a${level} [${`*a${level - 1},`.repeat(10)}]`);
    expect(await refusal(bomb.join('\n'))).toContain('expected at most 50000 values, aliases followed');
  });

  test('one value too many', async () => {
    const values = (count: number): string => `a: [${'x,'.repeat(count)}]`;
    expect(await refusal(values(49_998))).not.toContain('expected at most');
    expect(await refusal(values(49_999))).toContain('expected at most 50000 values');
  });

  test('an alias of what it stands in', async () => {
    expect(await refusal('a: &a { b: *a }')).toContain('expected at most 32 levels');
  });

  test('brackets beyond any depth', async () => {
    expect(await refusal('['.repeat(200_000))).toMatch(/^config\.yml:/);
    // The parser would come to the end of its stack, and there V8 may end the process.
    for (const deep of ['[', '{a: ', '- ', '? - ', '"a": [', '[[]'])
      expect(await refusal(`a: 1\n${deep.repeat(3000)}`)).toBe('config.yml:2:1: expected at most 32 levels');
    const wide = `x-a: [${'"[", {a: []}, '.repeat(100)}]\n# ${'['.repeat(40)}\nx-b: ${'-'.repeat(600)}\n`;
    expect(await refusal(`${wide}nowhere: 1`)).toMatch(/^config\.yml:4:1: nowhere/);
  });

  test('a file of more than a mebibyte', async () => {
    expect(await refusal(`# ${'x'.repeat(1_048_577)}`)).toContain('expected a file of at most 1 MiB');
  });
});

describe('what is accepted', () => {
  test('merge keys, and notes that begin x-, but headers that do', async () => {
    const config = await load(
      `x-policy: &policy { tagttl: 1m, stale: 2h }\nhttp: { headers: { x-frame-options: [DENY] } }\nroutes:\n  - { match: "**", upstreams: [origin], <<: *policy, tagttl: 7m, x-why: because }\n`,
    );
    expect(config.routes[0]?.policy).toMatchObject({ tagttl: 420_000, stale: 7_200_000 });
    expect(config.http.headers.get('x-frame-options')).toEqual(['DENY']);
  });

  test('a number is a password as it stands', async () => {
    const config = await load(`credentials: { docker.io: { username: 007, password: 0x10 } }\n${ROUTES}`);
    const account = config.credentials[0]?.account;
    expect(account).toMatchObject({ kind: 'password', username: '007' });
    expect(passwordOf(account)).toBe('0x10');
  });

  test('well-known is spelt out, and is the name of its route', async () => {
    const [route] = (await load('routes: [{ match: well-known, upstreams: origin }]')).routes;
    expect(route?.name).toBe('well-known');
    expect(route?.match).toContain('docker.io/**');
    expect(route?.at).toBe('config.yml:1');
  });

  test('an upstream and its files', async () => {
    const config = await load(
      'upstreams:\n  corp: { url: "https://harbor.test:8443/x/", path: hub-proxy, username: u, passwordfile: p, tls: { ca: ca.pem }, proxy: none, headers: { X-K: v } }\nroutes: [{ match: "docker.io/**", upstreams: [corp, origin] }]',
      { files: { '/etc/test/p': 'secret\n', '/etc/test/ca.pem': '-----BEGIN CERTIFICATE-----\n' } },
    );
    const corp = config.upstreams.get('corp');
    expect(corp).toMatchObject({ url: 'https://harbor.test:8443/x', path: 'hub-proxy', proxy: 'none', concurrency: 32 });
    expect(corp?.timeout).toEqual({ connect: 3000, headers: 10_000, stall: 15_000 });
    // Whoever signs in reads it, again and again: its change asks for no reload.
    expect(corp?.account).toEqual({ kind: 'password', username: 'u', password: { file: '/etc/test/p' } });
    expect([...config.watched.keys()]).toEqual(['/etc/test/config.yml', '/etc/test/ca.pem']);
  });

  test('accounts by a docker config.json, the longest prefix first', async () => {
    const auths = { 'https://index.docker.io/v1/': { auth: 'bWU6c2U6Y3JldA==' }, 'ghcr.io': { username: 'g', password: 'h' } };
    const config = await load(`credentials: { docker.io: { config: d.json }, ghcr.io/acme: { config: d.json } }\n${ROUTES}`, {
      files: { '/etc/test/d.json': JSON.stringify({ auths }) },
    });
    expect(config.credentials).toEqual([
      { prefix: 'ghcr.io/acme', account: { kind: 'docker', file: '/etc/test/d.json', name: 'ghcr.io/acme' } },
      { prefix: 'docker.io', account: { kind: 'docker', file: '/etc/test/d.json', name: 'docker.io' } },
    ]);
    expect([...config.watched.keys()]).toEqual(['/etc/test/config.yml']);
  });
});
