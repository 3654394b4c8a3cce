/** Longer headers are not looked at: Node takes 16 KiB of them in all. */
const LENGTH_MAX = 16_384;

/**
 * The target of the first link of relation `next`, as written, perhaps relative; `undefined` when there is none
 * (RFC 8288 3; OCI distribution-spec, "Listing Tags"). Linear; never throws.
 */
export function nextLink(header: string | undefined): string | undefined {
  if (header === undefined || header.length > LENGTH_MAX) return undefined;
  let at = header.indexOf('<');
  while (at >= 0) {
    const close = header.indexOf('>', at);
    if (close < 0) return undefined;
    const parameters = readParameters(header, close + 1);
    if (relationsOf(parameters.first).includes('next')) return header.slice(at + 1, close);
    at = header.indexOf('<', parameters.end);
  }
  return undefined;
}

/** A `Link` to the next page. What cannot stand in a header or between the brackets is percent-encoded (S21). */
export function formatNextLink(url: string): string {
  const wellFormed = url.replaceAll(/\p{Surrogate}/gu, '\uFFFD');
  const safe = wellFormed.replaceAll(/[^!#-;=?-[\]_a-z~]/gu, encodeURIComponent);
  return `<${safe}>; rel="next"`;
}

function relationsOf(rel: string | undefined): readonly string[] {
  return (rel ?? '').toLowerCase().split(/[ \t]/);
}

/** The first `rel` of a link's parameters (RFC 8288 3.3: later ones are ignored), and where the link ends. */
function readParameters(header: string, from: number): { readonly first: string | undefined; readonly end: number } {
  let first: string | undefined;
  let at = skipSpace(header, from);
  while (header[at] === ';') {
    const nameStart = skipSpace(header, at + 1);
    const nameEnd = endOf(header, nameStart, '=;,');
    const name = header.slice(nameStart, nameEnd).trim().toLowerCase();
    const value = header[nameEnd] === '=' ? readValue(header, skipSpace(header, nameEnd + 1)) : { text: '', end: nameEnd };
    if (name === 'rel') first ??= value.text;
    at = skipSpace(header, value.end);
  }
  return { first, end: at };
}

function readValue(header: string, from: number): { readonly text: string; readonly end: number } {
  if (header[from] !== '"') {
    const end = endOf(header, from, ';,');
    return { text: header.slice(from, end).trim(), end };
  }
  const parts: string[] = [];
  let at = from + 1;
  while (at < header.length && header[at] !== '"') {
    if (header[at] === '\\') at += 1;
    parts.push(header.charAt(at));
    at += 1;
  }
  return { text: parts.join(''), end: at + 1 };
}

function endOf(header: string, from: number, stops: string): number {
  let at = from;
  while (at < header.length && !stops.includes(header.charAt(at))) at += 1;
  return at;
}

function skipSpace(header: string, from: number): number {
  let at = from;
  while (header[at] === ' ' || header[at] === '\t') at += 1;
  return at;
}
