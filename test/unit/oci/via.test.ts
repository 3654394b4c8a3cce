import { describe, expect, test } from 'vitest';
import { formatVia, isPseudonym, parseVia, pseudonymOf } from '../../../src/oci/via.ts';

const A = 'entrepot-00000000000000aa';
const B = 'entrepot-00000000000000bb';

describe('Via', () => {
  test.each([
    [undefined, []],
    ['', []],
    [`1.1 ${A}`, [A]],
    [`1.1 ${A}, 1.1 ${B}`, [A, B]],
    [`1.0 ${B},HTTP/1.1 ${A} (Entrepot, inside)`, [B, A]],
    [`1.1 ${A}, 1.1 ${A}`, [A]],
    [`1.1 proxy.corp.test:3128 (squid/5), 1.1 ${A}`, [A]],
    [`2 ${A}, 1.1${A}, ${A}, 1.1 ${A}x, 1.1 ${A.toUpperCase()}`, []],
    [`1.1 entrepot-00000000000000aa"><script>`, []],
    [',,, , 1.1', []],
  ])('%s', (header, wanted) => {
    expect(parseVia(header)).toEqual(wanted);
  });

  test('is read as it is written', () => {
    expect(parseVia(formatVia([A, B]))).toEqual([A, B]);
    expect(isPseudonym(pseudonymOf('0123456789abcdef0123456789abcdef'))).toBe(true);
  });
});
