import { expect, test } from 'vitest';
import { pullScope } from '../../../src/oci/scope.ts';

test('[P116] what a pull needs', () => {
  expect(pullScope('library/alpine')).toBe('repository:library/alpine:pull');
});
