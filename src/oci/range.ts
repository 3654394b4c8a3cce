/** A part of some bytes: from `from` up to `to`, exclusive. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** What a Range header comes to for content of a known size. */
export type RangeAnswer =
  | { readonly kind: 'whole' }
  | ({ readonly kind: 'one' } & ByteRange)
  | { readonly kind: 'many'; readonly ranges: readonly ByteRange[] }
  | { readonly kind: 'unsatisfiable' };

/** More ranges in one request are answered with the whole (RFC 9110 17.15). */
const RANGES_MAX = 100;
const HEADER_LENGTH_MAX = 4096;
const WHOLE: RangeAnswer = { kind: 'whole' };
const UNSATISFIABLE: RangeAnswer = { kind: 'unsatisfiable' };

/**
 * RFC 9110 14.2: an unknown unit or broken syntax is ignored; ends past the content are cut; what lies wholly outside is
 * unsatisfiable, and so is `500-0` (the specification's conformance suite wants 416). Several ranges that overlap, or add up
 * to more than the content, are answered with the whole, so that no request makes us send more than there is.
 */
export function parseRange(header: string | undefined, size: number): RangeAnswer {
  const specs = splitSpecs(header);
  if (specs === undefined || specs.length > RANGES_MAX) return WHOLE;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = resolveSpec(spec, size);
    if (range === 'invalid') return WHOLE;
    if (range !== undefined) ranges.push(range);
  }
  const [first] = ranges;
  if (first === undefined) return UNSATISFIABLE;
  if (specs.length === 1) return { kind: 'one', ...first };
  return isFrugal(ranges, size) ? { kind: 'many', ranges } : WHOLE;
}

/** `Content-Range` of a 206. */
export function contentRange(from: number, to: number, size: number): string {
  return `bytes ${from}-${to - 1}/${size}`;
}

/** RFC 9110 13.1.5: a strong comparison with an entity tag; a date never matches, since nothing here has one. */
export function ifRangeMatches(header: string, etag: string): boolean {
  return header.trim() === etag;
}

/** RFC 9110 13.1.2: a weak comparison with a list of entity tags, or `*`. The official registry takes bare digests too. */
export function ifNoneMatchMatches(header: string, etag: string): boolean {
  const bare = etag.replaceAll('"', '');
  return header
    .slice(0, HEADER_LENGTH_MAX)
    .split(',')
    .map((tag) => tag.trim())
    .some((tag) => tag === '*' || tag.replace(/^W\//, '').replaceAll('"', '') === bare);
}

function splitSpecs(header: string | undefined): string[] | undefined {
  if (header === undefined || header.length > HEADER_LENGTH_MAX) return undefined;
  const match = /^\s*bytes\s*=(.*)$/i.exec(header);
  return match?.[1]?.split(',').map((spec) => spec.trim());
}

/** `undefined`: understood, but outside. */
function resolveSpec(spec: string, size: number): ByteRange | undefined | 'invalid' {
  const match = /^(\d{0,16})-(\d{0,16})$/.exec(spec);
  const [, first, last] = match ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return 'invalid';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? undefined : { from: size - length, to: size };
  }
  const from = Number(first);
  const to = last === '' ? size : Math.min(Number(last) + 1, size);
  return from < to ? { from, to } : undefined;
}

function isFrugal(ranges: readonly ByteRange[], size: number): boolean {
  const sorted = [...ranges].sort((a, b) => a.from - b.from);
  const overlap = sorted.some((range, index) => index > 0 && range.from < (sorted[index - 1]?.to ?? 0));
  return !overlap && ranges.reduce((sum, { from, to }) => sum + to - from, 0) <= size;
}
