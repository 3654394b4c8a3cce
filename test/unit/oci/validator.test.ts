import { expect, test } from 'vitest';
import { ifNoneMatchMatches, ifRangeMatches } from '../../../src/oci/validator.ts';

const etag = '"sha256:abc"';

test.each([
  ['"sha256:abc"', true],
  [' "sha256:abc" ', true],
  ['sha256:abc', true],
  ['W/"sha256:abc"', false],
  ['"sha256:abd"', false],
  ['"a", "sha256:abc"', false],
  ['*', false],
  ['Wed, 21 Oct 2015 07:28:00 GMT', false],
  ['', false],
])('[P63] If-Range: %s lets the range stand: %s', (header, matches) => {
  expect(ifRangeMatches(header, etag)).toBe(matches);
});

test.each([
  ['"sha256:abc"', true],
  ['W/"sha256:abc"', true],
  ['sha256:abc', true],
  ['*', true],
  [' * ', true],
  ['"a", W/"b,c" , "sha256:abc"', true],
  ['"a",sha256:abc', true],
  ['"a,sha256:abc"', false],
  ['"sha256:ab"', false],
  ['"sha256:abcd"', false],
  ['"*"', false],
  ['', false],
  [',,,', false],
  ['"', false],
])('[P43] [P44] If-None-Match: %s matches: %s', (header, matches) => {
  expect(ifNoneMatchMatches(header, etag)).toBe(matches);
});
