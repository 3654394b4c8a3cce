import { expect, test } from 'vitest';
import { connectionLimits } from '../../../src/compose/connection-limits.ts';
import { descriptorLimit } from '../../../src/system/descriptor-limit.ts';

test.each([
  [undefined, 20_000],
  [64, 16],
  [256, 64],
  [1024, 448],
  [1_048_576, 20_000],
])('[R37] with %s descriptors %i connections are taken at once', (descriptors, connectionsMax) => {
  expect(connectionLimits(descriptors)).toEqual({ connectionsMax, connectionsPerAddressMax: 1000 });
});

test('each of several processes has its part of what may come in all, and descriptors of its own', () => {
  expect(connectionLimits(undefined, 3)).toEqual({ connectionsMax: 6667, connectionsPerAddressMax: 334 });
  expect(connectionLimits(1024, 2)).toEqual({ connectionsMax: 448, connectionsPerAddressMax: 500 });
});

test.skipIf(process.platform !== 'linux')('the limit of this process is told', () => {
  expect(descriptorLimit()).toBeGreaterThan(10);
});
