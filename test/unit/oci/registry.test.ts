import { describe, expect, test } from 'vitest';
import { parseRegistry } from '../../../src/oci/registry.ts';

describe('registries', () => {
  test.each([
    ['docker.io', 'docker.io'],
    ['GHCR.io', 'ghcr.io'],
    ['localhost', 'localhost'],
    ['localhost:5000', 'localhost:5000'],
    ['127.0.0.1:5902', '127.0.0.1:5902'],
    ['reg.local:5000', 'reg.local:5000'],
    ['quay.io:443', 'quay.io:443'],
    ['a-b.c--d.e', 'a-b.c--d.e'],
    ['[::1]', '[::1]'],
    ['[FE80::1]:5000', '[fe80::1]:5000'],
    ['[0:0:0:0:0:0:0:1]:5000', '[::1]:5000'],
    ['a:65535', 'a:65535'],
  ])('[P106] %s is %s', (text, registry) => {
    expect(parseRegistry(text)).toBe(registry);
  });

  test.each([
    '',
    'http://x',
    'https://docker.io',
    'a/b',
    'u@h',
    'u:p@h',
    'a b',
    ' a',
    'a\t',
    'a\n',
    '\0',
    'a\0b',
    '..',
    'a..b',
    '.a',
    'a.',
    '-a',
    'a-',
    'a.-b',
    'a-.b',
    'a_b',
    'a#b',
    'a?b',
    'a%2eb',
    'a:',
    'a:0',
    'a:65536',
    'a:080',
    'a:1:2',
    'a:b',
    ':5000',
    '::1',
    '[::1',
    '::1]',
    '[]',
    '[:::]',
    '[fe80::1%eth0]',
    '[::1]x',
    'bücher.example',
    'ſ.example',
    '*',
    'a'.repeat(256),
  ])('[P108] %j is refused', (text) => {
    expect(parseRegistry(text)).toBeUndefined();
  });

  test.each(['0x7f.1', '127.1', '2130706433', '0177.0.0.1', '256.0.0.1', '1.2.3.4.5'])(
    '[S06] %s, which is dialled as another host or none, is refused',
    (text) => {
      expect(parseRegistry(text)).toBeUndefined();
    },
  );

  test('[P107] what is accepted can always be dialled', () => {
    for (const text of ['docker.io', '[::1]:5000', 'localhost:1'])
      expect(URL.canParse(`https://${parseRegistry(text)}`)).toBe(true);
  });
});
