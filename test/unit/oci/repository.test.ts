import { describe, expect, test } from 'vitest';
import { parseRepository } from '../../../src/oci/repository.ts';

describe('repository names', () => {
  test.each([
    'a',
    'library/ubuntu',
    'a/b/c/d',
    'a/blobs/b',
    'x/manifests',
    'tags/list',
    'my-org/my_image',
    'a__b/c---d/e.f',
    '0/1',
    'proto/constructor/prototype',
    'a'.repeat(255),
  ])('[P6] [P7] %s stands as it is', (name) => {
    expect(parseRepository(name)).toBe(name);
  });

  test.each([
    '',
    '/',
    'A',
    'library/Ubuntu',
    'a/../b',
    '..',
    'a..b',
    'a//b',
    '/a',
    'a/',
    '-a',
    'a-',
    'a/-b',
    'a-/b',
    '_a',
    'a_',
    'a___b',
    'a._b',
    'a-_b',
    'a.',
    '.a',
    '__proto__',
    'a b',
    'a\0',
    'a\n',
    'ä',
    'a%2fb',
    'a:b',
    'a@b',
    'a'.repeat(256),
  ])('[P8] %j is refused', (name) => {
    expect(parseRepository(name)).toBeUndefined();
  });
});
