export { ifNoneMatchMatches, ifRangeMatches } from './validator.ts';

/** Bytes from `from` up to `to`, exclusive. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** What a `Range` header asks of a representation of known size. */
export type RangeAnswer =
  /** 200: there is no range, or one that is to be ignored. */
  | { readonly kind: 'whole' }
  | ({ readonly kind: 'one' } & ByteRange)
  /** 206 as `multipart/byteranges`, in the order asked for; never empty, never overlapping. */
  | { readonly kind: 'many'; readonly ranges: readonly ByteRange[] }
  /** 416. */
  | { readonly kind: 'unsatisfiable' };

/** RFC 9110 17.15: a request for more is answered whole. */
const RANGES_MAX = 100;

/** RFC 9110 14.1.1: positions as written; one of the two is always there. */
interface RangeSpec {
  readonly first: number | undefined;
  readonly last: number | undefined;
}

/**
 * RFC 9110 14.2. What is not understood is ignored; ends beyond the last byte are cut back to it; ranges that overlap are
 * ignored as well, so that the parts never come to more than the whole. A single range that ends before it begins is 416,
 * not ignored: the specification's conformance suite asks for that.
 */
export function parseRange(header: string | undefined, size: number): RangeAnswer {
  const specs = header === undefined ? undefined : parseSpecs(header);
  if (specs === undefined) return { kind: 'whole' };
  const [only] = specs;
  if (only !== undefined && specs.length === 1 && isReversed(only)) return { kind: 'unsatisfiable' };
  if (specs.some(isReversed)) return { kind: 'whole' };
  if (size === 0 && specs.some(isSuffix)) return { kind: 'whole' };
  const ranges = specs.map((spec) => resolve(spec, size)).filter((range) => range !== undefined);
  const [first] = ranges;
  if (first === undefined) return { kind: 'unsatisfiable' };
  if (specs.length === 1) return { kind: 'one', ...first };
  return overlaps(ranges) ? { kind: 'whole' } : { kind: 'many', ranges };
}

/** RFC 9110 14.4, for a part of known size. */
export function contentRange(from: number, to: number, size: number): string {
  return `bytes ${from}-${to - 1}/${size}`;
}

/** `undefined` where the header is to be ignored. */
function parseSpecs(header: string): readonly RangeSpec[] | undefined {
  const equals = header.indexOf('=');
  if (equals < 0 || header.slice(0, equals).trim().toLowerCase() !== 'bytes') return undefined;
  // One more than is wanted shows that there are too many, however long the rest is.
  const texts = header.slice(equals + 1).split(',', 2 * RANGES_MAX);
  const specs: RangeSpec[] = [];
  for (const text of texts.map((part) => part.trim())) {
    // RFC 9110 5.6.1: empty elements of a list do not count.
    if (text === '') continue;
    const spec = parseSpec(text);
    if (spec === undefined) return undefined;
    specs.push(spec);
  }
  return specs.length === 0 || specs.length > RANGES_MAX || texts.length === 2 * RANGES_MAX ? undefined : specs;
}

function parseSpec(text: string): RangeSpec | undefined {
  const dash = text.indexOf('-');
  if (dash < 0) return undefined;
  const [first, last] = [text.slice(0, dash), text.slice(dash + 1)];
  if (!/^[0-9]*$/.test(first) || !/^[0-9]*$/.test(last) || text === '-') return undefined;
  // Digits beyond 2^53 lose their last places, which changes nothing: they lie behind every end.
  return { first: first === '' ? undefined : Number(first), last: last === '' ? undefined : Number(last) };
}

function isReversed({ first, last }: RangeSpec): boolean {
  return first !== undefined && last !== undefined && last < first;
}

function isSuffix({ first, last }: RangeSpec): boolean {
  return first === undefined && last !== 0;
}

/** `undefined` when no byte of it is there. */
function resolve({ first, last }: RangeSpec, size: number): ByteRange | undefined {
  if (first === undefined) return last === undefined || last === 0 ? undefined : { from: Math.max(0, size - last), to: size };
  return first >= size ? undefined : { from: first, to: last === undefined ? size : Math.min(last + 1, size) };
}

function overlaps(ranges: readonly ByteRange[]): boolean {
  const sorted = ranges.toSorted((a, b) => a.from - b.from);
  return sorted.some(({ from }, index) => from < (sorted[index - 1]?.to ?? 0));
}
