import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { parseReference, referenceText } from '../../../src/oci/reference.ts';
import { parseRegistry } from '../../../src/oci/registry.ts';
import { parseRepository } from '../../../src/oci/repository.ts';
import { createNameParser, createNameShower, type NameOptions, type Target } from '../../../src/pull/name.ts';

const HEX = 'a'.repeat(64);
const OPTIONS: NameOptions = {
  default: 'docker.io',
  self: ['registry.acme.test'],
  hosts: new Map([
    ['ghcr.mirror.test', 'ghcr.io'],
    ['*.mirror.test', '*'],
    ['*.deep.mirror.test', 'quay.io'],
  ]),
  prefixes: new Map([['hub-proxy', 'docker.io']]),
  aliases: new Map([['registry.hub.docker.com', 'docker.io']]),
  pathPrefix: '',
};
const parse = createNameParser(OPTIONS);

function named(target: string, host?: string, parser = parse): string {
  const read: Target = parser(target, host);
  if (!('name' in read)) return read.kind;
  return `${read.name.registry} ${read.name.repository}`;
}

function refused(target: string, host?: string, parser = parse): string {
  try {
    return `accepted: ${named(target, host, parser)}`;
  } catch (error) {
    if (error instanceof RegistryError) return `${error.status} ${error.code}`;
    throw error;
  }
}

describe('all the ways to name a registry', () => {
  type Row = readonly [target: string, host: string | undefined, name: string];
  const read: Readonly<Record<string, readonly Row[]>> = {
    '[P103] [P104] [P110] one object, however it is spelt': [
      ['/v2/library/ubuntu/manifests/3', undefined, 'docker.io library/ubuntu'],
      ['/v2/ubuntu/manifests/3', undefined, 'docker.io library/ubuntu'],
      ['/v2/docker.io/ubuntu/manifests/3', undefined, 'docker.io library/ubuntu'],
      ['/v2/docker.io/library/ubuntu/manifests/3', undefined, 'docker.io library/ubuntu'],
      ['/v2/library/ubuntu/manifests/3?ns=docker.io', undefined, 'docker.io library/ubuntu'],
      ['/v2/library/ubuntu/manifests/3?ns=index.docker.io', undefined, 'docker.io library/ubuntu'],
      ['/v2/library/ubuntu/manifests/3?ns=registry-1.docker.io', undefined, 'docker.io library/ubuntu'],
      ['/v2/library/ubuntu/manifests/3?ns=registry.hub.docker.com', undefined, 'docker.io library/ubuntu'],
      ['/v2/ubuntu/manifests/3?ns=DOCKER.io&ns=DOCKER.io', undefined, 'docker.io library/ubuntu'],
      ['/v2/ubuntu/manifests/3?ns=', undefined, 'docker.io library/ubuntu'],
      ['/v2/hub-proxy/ubuntu/manifests/3', undefined, 'docker.io library/ubuntu'],
    ],
    '[P110] no library anywhere else': [
      ['/v2/x/manifests/3?ns=quay.io', undefined, 'quay.io x'],
      ['/v2/ghcr.io/x/manifests/3', undefined, 'ghcr.io x'],
    ],
    '[P111] said twice, dropped once': [
      ['/v2/docker.io/library/x/manifests/3?ns=docker.io', undefined, 'docker.io library/x'],
      ['/v2/docker.io/docker.io/x/manifests/3?ns=docker.io', undefined, 'docker.io docker.io/x'],
      ['/v2/hub-proxy/x/manifests/3?ns=docker.io', undefined, 'docker.io library/x'],
    ],
    '[P112] another registry’s name is part of the repository': [
      ['/v2/quay.io/x/y/manifests/3?ns=docker.io', undefined, 'docker.io quay.io/x/y'],
      ['/v2/google.com/sdk/manifests/3?ns=gcr.io', undefined, 'gcr.io google.com/sdk'],
    ],
    '[P105] [P106] [P109] by namespace and by path': [
      ['/v2/org/x/manifests/3?ns=quay.io', undefined, 'quay.io org/x'],
      ['/v2/x/manifests/3?ns=127.0.0.1%3A5902', undefined, '127.0.0.1:5902 x'],
      ['/v2/x/manifests/3?ns=reg.local:5000', undefined, 'reg.local:5000 x'],
      ['/v2/quay.io/org/x/manifests/3', undefined, 'quay.io org/x'],
      ['/v2/localhost/x/manifests/3', undefined, 'localhost x'],
      ['/v2/localhost%3A5001/x/manifests/3', undefined, 'localhost:5001 x'],
    ],
    'by Host, the longest suffix first, then without its port': [
      ['/v2/x/manifests/3', 'ghcr.mirror.test', 'ghcr.io x'],
      ['/v2/x/manifests/3', 'GHCR.mirror.test:5000', 'ghcr.io x'],
      ['/v2/x/manifests/3', 'quay.io.mirror.test', 'quay.io x'],
      ['/v2/x/manifests/3', 'any.deep.mirror.test', 'quay.io x'],
      ['/v2/x/manifests/3', 'registry.acme.test:443', 'registry.acme.test x'],
      ['/v2/ghcr.io/x/manifests/3', 'ghcr.mirror.test', 'ghcr.io x'],
      ['/v2/quay.io/x/manifests/3', 'ghcr.mirror.test', 'ghcr.io quay.io/x'],
      ['/v2/x/manifests/3?ns=quay.io', 'ghcr.mirror.test', 'quay.io x'],
      ['/v2/x/manifests/3', 'elsewhere.test', 'docker.io library/x'],
    ],
    '[P113] a registry before /v2': [
      ['/ghcr.io/v2/x/manifests/3', undefined, 'ghcr.io x'],
      ['/docker.io/v2/ubuntu/tags/list', undefined, 'docker.io library/ubuntu'],
    ],
    '[P6] [P7] the right-most match': [
      ['/v2/a/b/c/d/manifests/T', undefined, 'docker.io a/b/c/d'],
      ['/v2/a/blobs/b/manifests/T', undefined, 'docker.io a/blobs/b'],
      ['/v2/x/manifests/manifests/T', undefined, 'docker.io x/manifests'],
      ['/v2/tags/list/tags/list', undefined, 'docker.io tags/list'],
      ['http://other.test/v2/a/b/manifests/T', undefined, 'docker.io a/b'],
    ],
  };
  describe.each(Object.entries(read))('%s:', (_, rows) => {
    test.each(rows)('%s at %s is %s', (target, host, expected) => {
      expect(named(target, host)).toBe(expected);
    });
  });

  const refusals: Readonly<Record<string, readonly (readonly [target: string, refusal: string])[]>> = {
    '[P108] two registries at once': [['/v2/x/manifests/3?ns=a.io&ns=b.io', '400 NAME_INVALID']],
    '[P108] a registry that is none': [
      ['/v2/x/manifests/3?ns=http://x', '400 NAME_INVALID'],
      ['/v2/x/manifests/3?ns=a/b', '400 NAME_INVALID'],
      ['/v2/x/manifests/3?ns=u@h', '400 NAME_INVALID'],
      ['/v2/x/manifests/3?ns=%00', '400 NAME_INVALID'],
    ],
    '[P8] a repository that is none': [
      ['/v2/A/b/manifests/3', '400 NAME_INVALID'],
      ['/v2/a/../b/manifests/3', '400 NAME_INVALID'],
      ['/v2/a//b/manifests/3', '400 NAME_INVALID'],
      ['/v2/-a/manifests/3', '400 NAME_INVALID'],
      ['/v2/a-/manifests/3', '400 NAME_INVALID'],
      [`/v2/${'a'.repeat(256)}/manifests/3`, '400 NAME_INVALID'],
    ],
    '[P9] a tag that is none': [
      [`/v2/a/manifests/${'t'.repeat(129)}`, '404 MANIFEST_UNKNOWN'],
      ['/v2/a/manifests/.x', '404 MANIFEST_UNKNOWN'],
      ['/v2/a/manifests/-x', '404 MANIFEST_UNKNOWN'],
    ],
    '[P10] [P11] [P98] a digest that is none': [
      ['/v2/a/manifests/sha256:bad', '400 DIGEST_INVALID'],
      ['/v2/a/blobs/latest', '400 DIGEST_INVALID'],
      ['/v2/a/referrers/bad', '400 DIGEST_INVALID'],
    ],
    '[S20] escapes': [
      ['/v2/a/..%2f..%2fb/manifests/3', '400 NAME_INVALID'],
      ['/v2/a%00/manifests/3', '400 NAME_INVALID'],
      ['/v2/a/manifests/3%0d%0a', '400 NAME_INVALID'],
    ],
    '[P14] no endpoint': [
      ['/v2/a/unknown/x', '404 NAME_UNKNOWN'],
      ['//v2/a/manifests/3', '404 NAME_UNKNOWN'],
      ['/v1/a', '404 NAME_UNKNOWN'],
      ['*', '404 NAME_UNKNOWN'],
    ],
  };
  describe.each(Object.entries(refusals))('%s:', (_, rows) => {
    test.each(rows)('%s is %s', (target, expected) => {
      expect(refused(target)).toBe(expected);
    });
  });

  test('[P12] the colon of a digest may be escaped', () => {
    const target = parse(`/v2/a/b/blobs/sha256%3a${HEX}`, undefined);
    expect(target).toMatchObject({ kind: 'blob', digest: `sha256:${HEX}` });
  });

  test('[P105] the parameter that decided is said back as it came, and only that', () => {
    expect(parse('/v2/x/tags/list?ns=Quay.io', undefined)).toMatchObject({ name: { ns: 'Quay.io' } });
    expect(parse('/v2/x/tags/list', undefined)).toMatchObject({ name: { ns: undefined } });
  });

  test('[P109] lists name what was asked for; links begin where the request did', () => {
    const prefixed = createNameParser({ ...OPTIONS, pathPrefix: '/mirror' });
    expect(prefixed('/mirror/quay.io/v2/org/x/tags/list', undefined)).toMatchObject({
      name: { shown: 'quay.io/org/x', base: '/mirror/quay.io/v2/org/x' },
    });
    expect(prefixed('/mirror/v2/_catalog', undefined)).toEqual({ kind: 'catalog', base: '/mirror/v2/_catalog' });
    expect(refused('/mirrorx/v2/a/tags/list', undefined, prefixed)).toBe('404 NAME_UNKNOWN');
    expect(refused('/v2/a/tags/list', undefined, prefixed)).toBe('404 NAME_UNKNOWN');
  });

  test('the official registry’s proxy mode: names are its own remote’s, another ns is 404', () => {
    const proxy = createNameParser({ ...OPTIONS, default: 'registry.k8s.io', only: 'registry.k8s.io' });
    expect(named('/v2/pause/manifests/3', undefined, proxy)).toBe('registry.k8s.io pause');
    expect(named('/v2/pause/manifests/3', 'ghcr.mirror.test', proxy)).toBe('registry.k8s.io pause');
    expect(named('/v2/pause/manifests/3?ns=registry.k8s.io', undefined, proxy)).toBe('registry.k8s.io pause');
    expect(refused('/v2/pause/manifests/3?ns=docker.io', undefined, proxy)).toBe('404 NAME_UNKNOWN');
  });

  test('what is held is shown by the name by which the same Host can pull it', () => {
    const show = createNameShower(OPTIONS);
    expect(show(undefined)('docker.io/library/ubuntu')).toBe('library/ubuntu');
    expect(show(undefined)('quay.io/org/x')).toBe('quay.io/org/x');
    expect(show('ghcr.mirror.test')('ghcr.io/x')).toBe('x');
    expect(show('ghcr.mirror.test')('quay.io/x')).toBeUndefined();
  });
});

describe('a plain registry', () => {
  const options = { ...OPTIONS, default: 'local', plain: 'local' };
  const plain = createNameParser(options);

  test.each([
    ['/v2/ubuntu/manifests/3', undefined, 'local ubuntu'],
    ['/v2/docker.io/library/ubuntu/manifests/3', undefined, 'local docker.io/library/ubuntu'],
    ['/v2/hub-proxy/ubuntu/tags/list', undefined, 'local hub-proxy/ubuntu'],
    ['/v2/ubuntu/manifests/3?ns=quay.io', undefined, 'local ubuntu'],
    ['/v2/ubuntu/manifests/3?ns=a&ns=b', undefined, 'local ubuntu'],
    ['/v2/ubuntu/manifests/3', 'ghcr.mirror.test', 'local ubuntu'],
    ['/v2/ubuntu/manifests/3', 'registry.acme.test:443', 'local ubuntu'],
    ['/v2/local/ubuntu/manifests/3', undefined, 'local local/ubuntu'],
  ])('%s from %s is %s: the name is the path as it stands', (target, host, name) => {
    expect(named(target, host, plain)).toBe(name);
  });

  test.each([
    ['/docker.io/v2/ubuntu/manifests/3', '404 NAME_UNKNOWN'],
    ['/team/v2/_catalog', '404 NAME_UNKNOWN'],
    ['/team/v2/', '404 NAME_UNKNOWN'],
    ['/v2/localhost:5000/ubuntu/manifests/3', '400 NAME_INVALID'],
  ])('%s is %s', (target, expected) => {
    expect(refused(target, undefined, plain)).toBe(expected);
  });

  test('nothing is said back of an ns that did not count', () => {
    expect(plain('/v2/ubuntu/manifests/3?ns=quay.io', undefined)).toMatchObject({
      name: { ns: undefined, base: '/v2/ubuntu' },
    });
  });

  test('it shows what it holds itself, by its path', () => {
    const show = createNameShower(options)('ghcr.mirror.test');
    expect(['local/ubuntu', 'local/docker.io/library/ubuntu', 'docker.io/library/ubuntu'].map(show)).toEqual([
      'ubuntu',
      'docker.io/library/ubuntu',
      undefined,
    ]);
  });

  test('routes go on with it: as the default, and as what a Host stands for', () => {
    const later = createNameParser({
      ...OPTIONS,
      default: 'local',
      hosts: new Map([['registry.acme.test', 'local']]),
      self: [],
    });
    expect(named('/v2/ubuntu/manifests/3', undefined, later)).toBe('local ubuntu');
    expect(named('/v2/docker.io/ubuntu/manifests/3', undefined, later)).toBe('docker.io library/ubuntu');
    expect(named('/v2/docker.io/ubuntu/manifests/3', 'registry.acme.test', later)).toBe('local docker.io/ubuntu');
  });
});

describe('[S20] whatever comes', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '//',
      '..',
      '%2f',
      '%3A',
      '%00',
      '%',
      '?',
      '?ns=',
      '&ns=',
      'v2',
      '/v2/',
      'manifests',
      'blobs',
      'tags/list',
    ),
    fc.constantFrom(
      'referrers',
      'docker.io',
      'localhost:5000',
      `sha256:${HEX}`,
      'a',
      'A',
      '-',
      '_',
      '.',
      '\u0000',
      '\r\n',
      'é',
    ),
    fc.string({ maxLength: 6 }),
    fc.string({ unit: 'binary', maxLength: 4 }),
  );
  const target = fc.oneof(
    fc.array(piece, { maxLength: 14 }).map((pieces) => `/v2/${pieces.join('')}`),
    fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')),
    fc.tuple(fc.array(piece, { maxLength: 5 }), piece).map(([name, last]) => `/v2/${name.join('/')}/manifests/${last}`),
  );

  test('it is refused by RegistryError, or satisfies the grammar', () => {
    fc.assert(
      fc.property(target, fc.option(fc.oneof(piece, fc.constant('x.mirror.test:1')), { nil: undefined }), (text, host) => {
        const read = readOrRefusal(text, host);
        if (read instanceof RegistryError) return;
        const words: unknown[] = [];
        if ('name' in read) {
          words.push(parseRegistry(read.name.registry) === read.name.registry);
          words.push(parseRepository(read.name.repository) === read.name.repository);
          words.push(/^[\x21-\x7e]*$/.test(read.name.base));
        }
        if ('digest' in read) words.push(parseDigest(read.digest) === read.digest);
        if ('reference' in read) words.push(parseReference(referenceText(read.reference)) !== undefined);
        expect(words).toEqual(words.map(() => true));
      }),
      { numRuns: 20_000 },
    );
  });
});

/** Throws whatever is no RegistryError. */
function readOrRefusal(text: string, host: string | undefined): Target | RegistryError {
  try {
    return parse(text, host);
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
}

describe('as of a date', () => {
  const AT = Date.UTC(2026, 10, 1);
  const read = (target: string, host?: string, parser = parse): readonly unknown[] => {
    const found = parser(target, host);
    if (!('name' in found)) return [found.kind];
    const { registry, repository, asof, shown, base } = found.name;
    return [`${registry} ${repository}`, asof, shown, base];
  };

  test('before the paths, or within them', () => {
    const ubuntu = 'docker.io library/ubuntu';
    expect(read('/asof/2026-11-01/v2/ubuntu/manifests/3').slice(0, 4)).toEqual([
      ubuntu,
      AT,
      'ubuntu',
      '/asof/2026-11-01/v2/ubuntu',
    ]);
    expect(read('/v2/asof/2026-11-01/ubuntu/tags/list').slice(0, 4)).toEqual([
      ubuntu,
      AT,
      'asof/2026-11-01/ubuntu',
      '/v2/asof/2026-11-01/ubuntu',
    ]);
    expect(read('/asof/2026-11-01/quay.io/v2/a/b/tags/list').slice(0, 4)).toEqual([
      'quay.io a/b',
      AT,
      'quay.io/a/b',
      '/asof/2026-11-01/quay.io/v2/a/b',
    ]);
    expect(read('/quay.io/v2/asof/2026-11-01/a/tags/list').slice(0, 4)).toEqual([
      'quay.io a',
      AT,
      'asof/2026-11-01/quay.io/a',
      '/quay.io/v2/asof/2026-11-01/a',
    ]);
    expect(read('/v2/asof/20261101T123000Z/quay.io/a/tags/list').slice(0, 2)).toEqual(['quay.io a', AT + 45_000_000]);
    expect(read('/v2/asof/2026-11-01T12%3A30:00z/a/tags/list?ns=quay.io').slice(0, 2)).toEqual(['quay.io a', AT + 45_000_000]);
    expect(read('/v2/asof/2026-11-01/a/tags/list', 'ghcr.mirror.test').slice(0, 2)).toEqual(['ghcr.io a', AT]);
    expect(read('/asof/2026-11-01/v2/')).toEqual(['base']);
    const prefixed = createNameParser({ ...OPTIONS, pathPrefix: '/mirror' });
    expect(read('/mirror/asof/2026-11-01/v2/a/tags/list', undefined, prefixed).slice(0, 3)).toEqual([
      'docker.io library/a',
      AT,
      'a',
    ]);
    expect(read('/mirror/v2/asof/2026-11-01/a/tags/list', undefined, prefixed).slice(0, 4)).toEqual([
      'docker.io library/a',
      AT,
      'asof/2026-11-01/a',
      '/mirror/v2/asof/2026-11-01/a',
    ]);
  });

  test('a repository that is called so is reached by what only it can mean', () => {
    const called = 'docker.io asof/2026-11-01/x';
    expect(named('/v2/docker.io/asof/2026-11-01/x/tags/list')).toBe(called);
    expect(named('/docker.io/v2/docker.io/asof/2026-11-01/x/tags/list')).toBe('docker.io docker.io/asof/2026-11-01/x');
    expect(read('/asof/2026-11-02/v2/asof/2026-11-01/x/tags/list').slice(0, 2)).toEqual([called, AT + 86_400_000]);
    expect(named('/v2/asof/2026-11-01/manifests/3')).toBe('docker.io asof/2026-11-01');
    expect(named('/v2/asof/2026-11-01/blobs/uploads/')).toBe('docker.io asof/2026-11-01');
    expect(named('/v2/asof/x/y/tags/list')).toBe('docker.io asof/x/y');
    expect(named('/asof/v2/x/tags/list')).toBe('docker.io asof/x');
    const plain = createNameParser({ ...OPTIONS, plain: 'docker.io' });
    expect(read('/v2/asof/2026-11-01/x/tags/list', undefined, plain).slice(0, 2)).toEqual([called, undefined]);
    expect(read('/asof/2026-11-01/v2/x/tags/list', undefined, plain).slice(0, 2)).toEqual(['docker.io x', AT]);
    expect(createNameShower(OPTIONS)(undefined)(`${called.replace(' ', '/')}`)).toBe('docker.io/asof/2026-11-01/x');
  });

  test.each([
    ['/asof/yesterday/v2/x/tags/list', '400 NAME_INVALID'],
    ['/asof/2026-02-30/v2/x/tags/list', '400 NAME_INVALID'],
    ['/v2/asof/2026-13-01/x/tags/list', '400 NAME_INVALID'],
    ['/v2/asof/2026-11-01T25:00Z/x/tags/list', '400 NAME_INVALID'],
    ['/asof/2026-11-01/v2/_catalog', '404 NAME_UNKNOWN'],
    ['/asof/2026-11-01/x', '404 NAME_UNKNOWN'],
    ['/v2/asof/2026-11-01/../x/tags/list', '400 NAME_INVALID'],
  ])('%s: %s', (target, refusal) => expect(refused(target)).toBe(refusal));
});
