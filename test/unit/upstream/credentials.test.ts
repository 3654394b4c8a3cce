import { describe, expect, test } from 'vitest';

import { longestPrefix, readDockerConfig } from '../../../src/upstream/credentials.ts';

describe('credentials by longest prefix', () => {
  const entries = { 'docker.io': 'hub', 'ghcr.io/acme': 'acme', 'ghcr.io/acme/tools': 'tools', 'ghcr.io': 'ghcr' };
  test.each([
    ['docker.io', 'library/alpine', 'hub'],
    ['ghcr.io', 'acme/app', 'acme'],
    ['ghcr.io', 'acme', 'acme'],
    ['ghcr.io', 'acme/tools/x', 'tools'],
    ['ghcr.io', 'acmetools/x', 'ghcr'],
    ['ghcr.io', '', 'ghcr'],
    ['quay.io', 'acme/app', undefined],
    ['constructor', 'x', undefined],
  ])('%s/%s: %s', (registry, repository, expected) => {
    expect(longestPrefix(entries, registry, repository)).toBe(expected);
  });
});

describe('docker config.json', () => {
  const auth = Buffer.from('ann:pass:word').toString('base64');
  test('auths by registry, Hub under its old name, identity tokens; entries without a secret are left out', () => {
    const text = JSON.stringify({
      auths: {
        'https://index.docker.io/v1/': { auth },
        'ghcr.io/acme': { username: 'bob', password: 'p' },
        'https://corp.test:5000': { auth: Buffer.from('<token>:').toString('base64'), identitytoken: 'it' },
        'stored.elsewhere.test': {},
      },
      credsStore: 'desktop',
    });
    expect({ ...readDockerConfig(text) }).toEqual({
      'docker.io': { kind: 'password', username: 'ann', password: 'pass:word' },
      'ghcr.io/acme': { kind: 'password', username: 'bob', password: 'p' },
      'corp.test:5000': { kind: 'identity', username: '<token>', token: 'it' },
    });
  });

  test.each(['', '[]', '{"auths":[]}', '"x"'])('%j is no such file', (text) => {
    expect(() => readDockerConfig(text)).toThrow(/JSON|auths/);
  });
});
