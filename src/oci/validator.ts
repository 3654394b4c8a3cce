/** Longer headers name nothing: Node takes 16 KiB of them in all. */
const LENGTH_MAX = 16_384;

/**
 * Whether `If-Range` lets the range stand (RFC 9110 13.1.5): the same strong validator. A weak one, a date or a list never
 * does. A digest without its quotes is taken as well.
 */
export function ifRangeMatches(header: string, etag: string): boolean {
  const value = header.trim();
  return value === etag || value === opaqueOf(etag);
}

/**
 * Whether `If-None-Match` names `etag`, so that the answer is 304 (RFC 9110 13.1.2: weak comparison, a list, or `*`).
 * Clients write digests without quotes too (protocol.md, statement 44).
 */
export function ifNoneMatchMatches(header: string, etag: string): boolean {
  if (header.length > LENGTH_MAX) return false;
  if (header.trim() === '*') return true;
  const wanted = opaqueOf(etag);
  for (let at = 0; at < header.length;) {
    const { value, end } = readTag(header, at);
    if (value === wanted) return true;
    at = end;
  }
  return false;
}

function opaqueOf(etag: string): string {
  return etag.replace(/^W\//, '').replace(/^"(.*)"$/, '$1');
}

/** The entry at or after `from`, without `W/` and quotes, and where the next may begin. Commas may stand inside quotes. */
function readTag(header: string, from: number): { readonly value: string; readonly end: number } {
  let at = from;
  while (header[at] === ',' || header[at] === ' ' || header[at] === '\t') at += 1;
  if (header.startsWith('W/', at)) at += 2;
  if (header[at] === '"') {
    const close = header.indexOf('"', at + 1);
    const end = close < 0 ? header.length : close;
    return { value: header.slice(at + 1, end), end: end + 1 };
  }
  const comma = header.indexOf(',', at);
  const end = comma < 0 ? header.length : comma;
  return { value: header.slice(at, end).trim(), end: end + 1 };
}
