import { describe, expect, test } from 'vitest';

import { longestPrefix } from '../../../src/upstream/credentials.ts';

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
