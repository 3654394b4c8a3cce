import { expect, test } from 'vitest';
import { parseRegistry } from '../../../src/oci/registry.ts';
import { registryEndpoint, WELL_KNOWN_PATTERNS } from '../../../src/oci/well-known.ts';

test('[P103] Docker Hub answers elsewhere, all others at their name', () => {
  expect(registryEndpoint('docker.io')).toBe('https://registry-1.docker.io');
  expect(registryEndpoint('ghcr.io')).toBe('https://ghcr.io');
  expect(registryEndpoint('localhost:5000')).toBe('https://localhost:5000');
});

test('every pattern is of one registry’s repositories, each once', () => {
  expect(new Set(WELL_KNOWN_PATTERNS).size).toBe(WELL_KNOWN_PATTERNS.length);
  for (const pattern of WELL_KNOWN_PATTERNS) {
    expect(pattern.endsWith('/**')).toBe(true);
    expect(parseRegistry(pattern.slice(0, -3).replace('*', 'x')), pattern).toBeDefined();
  }
});
