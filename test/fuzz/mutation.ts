import type { Draw } from '../faults/mutated-requests.ts';

/** What new inputs are made of. */
export interface Material {
  /** Inputs that were interesting; never empty. */
  readonly pool: readonly string[];
  readonly words: readonly string[];
  readonly longest: number;
}

/** An input that nobody has written: one of the pool changed at a few places, or words in a row. */
export function newInput(material: Material, draw: Draw): string {
  if (draw.below(20) === 0) return words(material, draw).slice(0, material.longest);
  let input = draw.of(material.pool);
  for (let left = 1 + Math.min(draw.below(6), draw.below(6)); left > 0; left--)
    input = draw.of(CHANGES)(input, material, draw).slice(0, material.longest);
  return input;
}

type Change = (input: string, material: Material, draw: Draw) => string;

const put = (input: string, at: number, gone: number, text: string): string =>
  `${input.slice(0, at)}${text}${input.slice(at + gone)}`;

/** Characters at which grammars turn, and some that they do not expect. */
const ODD: readonly string[] = [
  ...'aZ09.-_/:,;=<>"\\[]{}()@%*~?#&+|!$^\'` '.split(''),
  ...['\t', '\r', '\n', '\r\n', '\0', '\u007f', '\u0080', '\u00a0', '\u00ff'],
  // UTF-8 of é, of U+2028 and of a byte order mark; half of a character, an overlong slash, and half a surrogate pair.
  ...['\u00c3\u00a9', '\u00e2\u0080\u00a8', '\u00ef\u00bb\u00bf', '\u00c3', '\u00c0\u00af', '\u00ed\u00a0\u0080'],
  ...['..', '//', '%2f', '%00', '\\u0000', '\\ud800', '__proto__', 'constructor', 'null', 'true', '{}', '[]', '""'],
];

const NUMBERS: readonly string[] = [
  ...'0 1 -1 00 01 9 10 99 127 128 255 256 65535 65536 2147483647 2147483648 4294967295 4294967296'.split(' '),
  ...'9007199254740991 9007199254740992 9007199254740993 18446744073709551616 999999999999999 1e3 1e400 -0 0x10 1.5 NaN'.split(
    ' ',
  ),
  ...'Infinity 99999999999999999999999999 ١٢ ²'.split(' ').map((text) => Buffer.from(text).toString('latin1')),
];

const CHANGES: readonly Change[] = [
  (input, _, draw) => put(input, draw.below(input.length + 1), 0, draw.of(ODD)),
  (input, _, draw) => put(input, draw.below(input.length + 1), 1, draw.of(ODD)),
  (input, { words: known }, draw) => put(input, draw.below(input.length + 1), 0, known.length > 0 ? draw.of(known) : 'a'),
  (input, { words: known }, draw) =>
    put(input, draw.below(input.length + 1), draw.below(8), known.length > 0 ? draw.of(known) : 'a'),
  // A bit, and a whole byte.
  (input, _, draw) => withCode(input, draw, (code) => code ^ (1 << draw.below(8))),
  (input, _, draw) => withCode(input, draw, () => draw.below(256)),
  // Less.
  (input, _, draw) => put(input, draw.below(input.length + 1), 1 + draw.below(draw.of([2, 8, 64])), ''),
  (input, _, draw) => input.slice(0, draw.below(input.length + 1)),
  (input, _, draw) => input.slice(draw.below(input.length + 1)),
  // More of the same.
  (input, _, draw) => put(input, draw.below(input.length + 1), 0, piece(input, draw)),
  repeated,
  // From elsewhere.
  (input, { pool }, draw) => put(input, draw.below(input.length + 1), draw.below(16), piece(draw.of(pool), draw)),
  (input, { pool }, draw) => {
    const other = draw.of(pool);
    return input.slice(0, draw.below(input.length + 1)) + other.slice(draw.below(other.length + 1));
  },
  (input, _, draw) => input.replace(/\d+/, draw.of(NUMBERS)),
  (input, _, draw) => put(input, draw.below(input.length + 1), 0, draw.of(NUMBERS)),
  (input, _, draw) => (draw.below(2) === 0 ? input.toUpperCase() : input.toLowerCase()).replaceAll(/[^\0-\u00ff]/g, '?'),
  nested,
];

function withCode(input: string, draw: Draw, change: (code: number) => number): string {
  if (input === '') return input;
  const at = draw.below(input.length);
  return put(input, at, 1, String.fromCharCode(change(input.charCodeAt(at)) & 0xff));
}

function piece(input: string, draw: Draw): string {
  const at = draw.below(input.length + 1);
  return input.slice(at, at + 1 + draw.below(draw.of([4, 32, 256])));
}

/** A piece many times: what takes quadratic time shows it in what is long. Now and then as long as can be. */
function repeated(input: string, { words: known, longest }: Material, draw: Draw): string {
  const what = draw.below(3) === 0 && known.length > 0 ? draw.of(known) : piece(input, draw) || draw.of(ODD);
  const room = draw.below(10) === 0 ? longest : Math.min(longest, draw.of([16, 300, 2000]));
  return put(input, draw.below(input.length + 1), 0, what.repeat(Math.floor(room / what.length)));
}

const BRACKETS: readonly (readonly [string, string])[] = [
  ['[', ']'],
  ['{"a":', '}'],
  ['(', ')'],
  ['"', '"'],
  ['<', '>'],
];

function nested(input: string, _: Material, draw: Draw): string {
  const [open, close] = draw.of(BRACKETS);
  const depth = draw.of([1, 2, 63, 64, 65, 2000]);
  return open.repeat(depth) + input + (draw.below(2) === 0 ? close.repeat(depth) : '');
}

function words({ words: known, pool }: Material, draw: Draw): string {
  const choices = known.length > 0 ? known : pool;
  return Array.from({ length: 1 + draw.below(12) }, () => draw.of(draw.below(3) === 0 ? ODD : choices)).join(
    draw.of(['', '', ' ', ',', '\n']),
  );
}
