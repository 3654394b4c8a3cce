import { expect, test } from 'vitest';
import { connectionLimits } from '../../../src/compose/edge.ts';
import { descriptorLimit } from '../../../src/system/descriptor-limit.ts';

test.each([
  [undefined, 20_000],
  [64, 16],
  [256, 64],
  [1024, 448],
  [1_048_576, 20_000],
])('[R37] with %s descriptors %i connections are taken at once', (descriptors, connectionsMax) => {
  expect(connectionLimits(descriptors)).toEqual({ connectionsMax });
});

test.skipIf(process.platform !== 'linux')('the limit of this process is told', () => {
  expect(descriptorLimit()).toBeGreaterThan(10);
});
