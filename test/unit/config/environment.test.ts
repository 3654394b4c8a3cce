import { describe, expect, test } from 'vitest';
import { load, passwordOf, refusal, ROUTES } from './load.ts';

describe('REGISTRY_ variables', () => {
  test('one alone is a configuration: a mirror by REGISTRY_PROXY_REMOTEURL', async () => {
    const config = await load(undefined, { env: { REGISTRY_PROXY_REMOTEURL: 'http://127.0.0.1:5055' } });
    expect(config.mode).toBe('proxy');
    expect(config.file).toBeUndefined();
    expect(config.names).toMatchObject({ default: '127.0.0.1:5055', only: '127.0.0.1:5055' });
    expect(config.routes).toMatchObject([
      { match: ['127.0.0.1:5055/**'], upstreams: ['127.0.0.1:5055'], at: 'REGISTRY_PROXY_REMOTEURL' },
    ]);
    expect(config.warnings).toEqual([]);
  });

  test('they go over the file, in the type of their key', async () => {
    const env = {
      REGISTRY_HTTP_ADDR: '127.0.0.1:0',
      REGISTRY_LOG_LEVEL: 'debug',
      REGISTRY_LOG_ACCESSLOG_DISABLED: 'true',
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: 'here',
      REGISTRY_HTTP_DEBUG: '{addr: 127.0.0.1:0}',
      REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH: '/m',
      REGISTRY_ROUTES_0_TAGTTL: '1h30m',
    };
    const config = await load(`http: { addr: ":1" }\nstorage: filesystem\n${ROUTES}`, { env });
    expect(config.http.addr).toEqual({ host: '127.0.0.1', port: 0 });
    expect(config.http.debug).toEqual({ addr: { host: '127.0.0.1', port: 0 }, metricsPath: '/m' });
    expect(config.log).toMatchObject({ level: 'debug', accesslog: false });
    expect(config.storage.rootdirectory).toBe('/etc/test/here');
    expect(config.routes[0]?.policy.tagttl).toBe(5_400_000);
  });

  test('a list and a whole section are read as YAML', async () => {
    const env = { REGISTRY_ROUTES: '[{match: well-known, upstreams: [origin]}]', REGISTRY_NAMES_SELF: '[a.test, b.test]' };
    const config = await load(undefined, { env });
    expect(config.routes[0]?.name).toBe('well-known');
    expect(config.names.self).toEqual(['a.test', 'b.test']);
  });

  test("a name of the user's own, by what is written", async () => {
    const yaml = `upstreams: { hub-a: { url: "https://x.test", username: u } }\n${ROUTES}`;
    const account = (await load(yaml, { env: { REGISTRY_UPSTREAMS_HUB_A_PASSWORD: '0123 #x' } })).upstreams.get(
      'hub-a',
    )?.account;
    expect(passwordOf(account)).toBe('0123 #x');
  });

  test('quotes are taken off a text, and dollars stay', async () => {
    const env = {
      REGISTRY_PROXY_REMOTEURL: '"https://registry-1.docker.io"',
      REGISTRY_PROXY_USERNAME: 'u',
      REGISTRY_PROXY_PASSWORD: 'a${b',
    };
    const config = await load(undefined, { env });
    expect(config.names.default).toBe('docker.io');
    const account = config.upstreams.get('docker.io')?.account;
    expect(passwordOf(account)).toBe('a${b');
  });

  test('one that names nothing is a warning, with a suggestion', async () => {
    const config = await load(ROUTES, {
      env: { REGISTRY_HTTP_ADR: ':1', REGISTRY_NONSENSE: 'x', REGISTRY_CONFIGURATION_PATH: '' },
    });
    expect(config.warnings).toEqual([
      'REGISTRY_HTTP_ADR names nothing in the configuration; did you mean REGISTRY_HTTP_ADDR?',
      'REGISTRY_NONSENSE names nothing in the configuration',
    ]);
  });

  test('those that Kubernetes makes for a Service are not even that', async () => {
    const env = {
      REGISTRY_PORT: 'tcp://10.0.0.1:5000',
      REGISTRY_SERVICE_HOST: '10.0.0.1',
      REGISTRY_SERVICE_PORT: '5000',
      REGISTRY_SERVICE_PORT_HTTP: '5000',
      REGISTRY_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      REGISTRY_PORT_5000_TCP_ADDR: '10.0.0.1',
      REGISTRY_PROXY_PORT: 'tcp://10.0.0.2:80',
      REGISTRY_PROXY_SERVICE_HOST: '10.0.0.2',
    };
    expect((await load(ROUTES, { env })).warnings).toEqual([]);
    expect((await load(undefined, { env })).mode).toBe('unconfigured');
  });

  test('a fault names the variable', async () => {
    expect(await refusal(ROUTES, { env: { REGISTRY_HTTP_ADDR: '5000' } })).toBe(
      'environment: REGISTRY_HTTP_ADDR: expected an address such as :5000, 127.0.0.1:5000 or [::1]:5000; did you mean ":5000"?',
    );
    expect(await refusal(ROUTES, { env: { REGISTRY_AUTH_SILLY_REALM: 'x' } })).toMatch(
      /^environment: REGISTRY_AUTH_SILLY_REALM: is no authentication at all/,
    );
    expect(await refusal(ROUTES, { env: { REGISTRY_HTTP_HEADERS: '{a: [' } })).toBe(
      'environment: REGISTRY_HTTP_HEADERS: expected a value that can be read as YAML',
    );
  });

  test('an empty one takes the key away', async () => {
    expect((await load(`http: { addr: ":1" }\n${ROUTES}`, { env: { REGISTRY_HTTP_ADDR: '' } })).http.addr.port).toBe(5000);
  });
});

describe('${NAME} inside values', () => {
  const host = async (written: string, env: Record<string, string>): Promise<unknown> =>
    (await load(`log: { fields: { a: '${written}' } }\n${ROUTES}`, { env })).log.fields['a'];

  test('is replaced, with a default, and as a literal', async () => {
    expect(await host('x${A}y${B:-z}', { A: '1' })).toBe('x1yz');
    expect(await host('${A:-z}', { A: '' })).toBe('z');
    expect(await host('$${A} $A ${B:-}', { A: '1' })).toBe('${A} $A ');
  });

  test('what it stands for is not read again', async () => {
    expect(await host('${A}', { A: '${B}', B: 'no' })).toBe('${B}');
    expect(await host('${A}', { A: 'x: [y]' })).toBe('x: [y]');
  });

  test('works for a value of any kind, and never in a key', async () => {
    const config = await load(`http: { addr: "\${HOST}:\${PORT:-5000}", headers: { "x-a": b } }\n${ROUTES}`, {
      env: { HOST: '127.0.0.1' },
    });
    expect(config.http.addr).toEqual({ host: '127.0.0.1', port: 5000 });
    expect(await refusal(`"\${A}": 1\n${ROUTES}`, { env: { A: 'http' } })).toContain('is not a key here');
  });

  test.each(['${', '${}', '${A-b}', '${1}', '${A'])('%s is a fault', async (written) => {
    expect(await refusal(`log: { fields: { a: '${written}' } }\n${ROUTES}`, { env: { A: '1' } })).toBe(
      'config.yml:1:21: log.fields.a: expected ${NAME} or ${NAME:-default}; a literal ${ is written $${',
    );
  });
});

describe('CONFIG', () => {
  test('is looked for in the order of the contract', async () => {
    const names = [
      '/etc/entrepot/config.yml',
      '/etc/test/config.yml',
      '/etc/distribution/config.yml',
      '/etc/docker/registry/config.yml',
    ];
    const files = Object.fromEntries(names.map((name) => [name, ROUTES]));
    for (const name of names) {
      expect((await load(undefined, { files })).file).toBe(name);
      delete files[name];
    }
    const named = { '/a.yml': ROUTES, '/b.yml': ROUTES, '/etc/entrepot/config.yml': ROUTES };
    const env = { ENTREPOT_CONFIG: '/a.yml', REGISTRY_CONFIGURATION_PATH: '/b.yml' };
    expect((await load(undefined, { files: named, env })).file).toBe('/a.yml');
    expect((await load(undefined, { files: named, env: { REGISTRY_CONFIGURATION_PATH: '/b.yml' } })).file).toBe('/b.yml');
  });

  test('without any, the well-known registries are served on 127.0.0.1 only, and it says what to set', async () => {
    const config = await load(undefined);
    expect(config).toMatchObject({ mode: 'unconfigured', file: undefined, http: { addr: { host: '127.0.0.1', port: 5000 } } });
    expect(config.routes).toMatchObject([{ name: 'well-known', upstreams: ['origin'] }]);
    expect(config.warnings.join()).toContain('REGISTRY_PROXY_REMOTEURL');
  });
});
