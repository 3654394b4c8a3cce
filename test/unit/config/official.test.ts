import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { describedSchema, type JsonSchema } from '../../../src/config/json-schema.ts';
import { official } from '../../../src/config/official.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { load } from './load.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/config/${name}`, import.meta.url), 'utf8');

interface Key {
  readonly path: readonly string[];
  readonly value: string;
}

const KEYS: Key[] = fixture('reference-keys.txt')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [, key = '', ...rest] = line.split(' ');
    return { path: key.split('.'), value: rest.join(' ') };
  });

/** A mirror's file that holds this one key more. */
function fileWith({ path, value }: Key): string {
  const root: Record<string, unknown> = { version: 0.1, proxy: { remoteurl: 'https://registry-1.docker.io' } };
  if (path[0] === 'redis')
    Object.assign(root, { metadata: 'redis', redis: path[1]?.startsWith('addr') ? {} : { addr: 'localhost:6379' } });
  let here: Record<string, unknown> | unknown[] = root;
  for (const [index, part] of path.entries()) {
    const slot = here as Record<string, unknown>;
    const below = path[index + 1];
    if (below === undefined) slot[part] = parse(value);
    else slot[part] ??= /^\d+$/.test(below) ? [] : {};
    here = slot[part] as Record<string, unknown>;
  }
  return stringify(addPartner(root, path));
}

interface Indexes {
  readonly indexes?: { readonly platformlist?: unknown };
}

/** Some keys are wrong alone: an account has two halves. */
function addPartner(root: Record<string, unknown>, path: readonly string[]): Record<string, unknown> {
  const proxy = root['proxy'] as Record<string, unknown>;
  const partner = { username: 'password', password: 'username' }[path[1] ?? ''];
  if (path[0] === 'proxy' && partner !== undefined) proxy[partner] = 'x';
  const auth = root['auth'] as { token?: object; htpasswd?: object } | undefined;
  if (auth?.token !== undefined)
    auth.token = { realm: 'https://auth.test/token', service: 's', issuer: 'i', rootcertbundle: '/b', ...defined(auth.token) };
  if (auth?.htpasswd !== undefined) auth.htpasswd = { path: '/p', ...auth.htpasswd };
  const notifications = root['notifications'] as { endpoints?: Record<string, unknown>[] } | undefined;
  for (const endpoint of notifications?.endpoints ?? []) {
    endpoint['name'] ??= 'listener';
    endpoint['url'] ??= 'https://listener.example.test/event';
  }
  const { indexes } = (root['validation'] as { manifests?: Indexes } | undefined)?.manifests ?? {};
  if (indexes?.platformlist !== undefined)
    Object.assign(indexes, { platforms: 'list', platformlist: [{ os: 'a', architecture: 'b' }] });
  const { http } = root as { readonly http?: { tls?: Record<string, unknown>; readonly http2?: unknown } };
  if (http?.http2 !== undefined) http.tls = {};
  if (http?.tls !== undefined && http.tls['letsencrypt'] === undefined)
    Object.assign(http.tls, { certificate: '/c', key: '/k', clientcas: ['/ca'] });
  const tls = (root['redis'] as { tls?: Record<string, unknown> } | undefined)?.tls;
  if (tls?.['certificate'] !== undefined || tls?.['key'] !== undefined) Object.assign(tls, { certificate: '/c', key: '/k' });
  return root;
}

/** The reference's placeholder for a realm is no address. */
function defined({ realm, ...rest }: { readonly realm?: unknown }): object {
  return realm === undefined || realm === 'r' ? rest : { realm, ...rest };
}

const PAIR = createAuthority('Test').issue('localhost');
const FILES = { '/c': PAIR.certificate, '/k': PAIR.key, '/ca': PAIR.certificate };

/** What really becomes of a key, seen from outside. */
async function fateOf(key: Key): Promise<'used' | 'harmless' | 'refused'> {
  const outcome = await load(fileWith(key), {
    files: { ...FILES, '/b': PAIR.certificate, '/j': '{"keys":[]}', '/p': '' },
  }).catch((error: Error) => error);
  if (outcome instanceof Error) {
    const [, printed = '', expected = ''] = /^\S+: ([^:]+): (.*)$/s.exec(outcome.message) ?? [];
    const section = key.path[0] ?? '';
    if (!printed.startsWith(section) || !/is not built|is no authentication/.test(expected)) throw outcome;
    return 'refused';
  }
  return outcome.warnings.some((warning) => warning.includes('has no effect here')) ? 'harmless' : 'used';
}

/** The verdicts that the table gives a key: several where they go by value. */
function verdictsOf({ path }: Key): string[] {
  const rows = official.filter(({ key }) => {
    const row = key.split('.');
    const shorter = Math.min(row.length, path.length);
    return row.length <= path.length && row.slice(0, shorter).every((part, index) => part === '*' || part === path[index]);
  });
  const unconditional = rows.filter(({ when }) => when === undefined).map(({ key }) => key.split('.').length);
  const longest = Math.max(...unconditional);
  return rows.filter(({ key, when }) => when !== undefined || key.split('.').length === longest).map(({ verdict }) => verdict);
}

describe("the official registry's configuration", () => {
  test.each(KEYS.map((key) => [`${key.path.join('.')}: ${key.value}`, key] as const))(
    '%s has a row, and that is what becomes of it',
    async (_, key) => {
      expect(verdictsOf(key)).toContain(await fateOf(key));
    },
  );

  test('no row is about a key that does not exist', () => {
    const known = KEYS.map(({ path }) => path.join('.'));
    const beyond = official.filter(({ key }) => {
      const pattern = new RegExp(`^${key.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}(\\.|$)`);
      return !known.some((name) => pattern.test(name));
    });
    // The two other spellings of storage drivers and sections that stand for what is left below them.
    expect(beyond.map(({ key }) => key)).toEqual(['storage.s3aws']);
  });

  test('every key that is used stands in the schema', () => {
    const missing = official
      .filter(({ verdict, when, key }) => verdict === 'used' && when === undefined && key !== 'loglevel')
      .filter(
        ({ key }) =>
          key.split('.').reduce<JsonSchema | undefined>((node, part) => node?.properties?.[part], describedSchema()) ===
          undefined,
      );
    expect(missing).toEqual([]);
  });

  test('its mirror sample of 2.8 loads as it is', async () => {
    const config = await load(fixture('mirror-2.yml'));
    expect(config).toMatchObject({
      mode: 'proxy',
      http: { addr: { host: undefined, port: 5000 }, debug: { addr: { host: 'localhost', port: 5001 } } },
      names: { default: 'docker.io', only: 'docker.io' },
      storage: { rootdirectory: '/var/lib/registry' },
      metadata: { kind: 'lmdb' },
      cache: { maxBytes: undefined },
      health: { storagedriver: { interval: 10_000, threshold: 3 } },
      log: { level: 'debug', fields: { service: 'registry', environment: 'staging' } },
    });
    expect(config.upstreams.get('docker.io')).toMatchObject({
      url: 'https://registry-1.docker.io',
      account: { username: 'username' },
    });
    expect(config.warnings.map((warning) => warning.split(' ')[0])).toEqual([
      'storage.cache',
      'http.secret',
      'redis',
      'proxy.username',
    ]);
  });

  test('its mirror sample of 3.x loads as it is, for a registry that is not docker.io', async () => {
    const config = await load(fixture('mirror-3.yml'));
    expect(config.names).toMatchObject({ default: 'registry.k8s.io', only: 'registry.k8s.io' });
    expect(config.routes).toMatchObject([{ match: ['registry.k8s.io/**'], upstreams: ['registry.k8s.io'] }]);
    expect(config.warnings.map((warning) => warning.split(' ')[0])).toEqual([
      'storage.filesystem.maxthreads',
      'storage.cache',
      'storage.tag',
      'redis',
    ]);
  });
});
