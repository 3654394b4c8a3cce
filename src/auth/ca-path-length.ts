/**
 * How many authorities may stand under this one (RFC 5280 4.2.1.9, `pathLenConstraint`), which Node does not tell; no limit
 * where none is written. `der`: a whole certificate, which OpenSSL has read. What cannot be found counts as none at all.
 */
export function caPathLength(der: Uint8Array): number {
  try {
    return pathLengthIn(der);
  } catch {
    return 0; // It ends too early: not as OpenSSL would have read it.
  }
}

const INTEGER = 0x02;
const OCTETS = 0x04;
/** [3] of a certificate: its extensions. */
const EXTENSIONS = 0xa3;
/** 2.5.29.19, basicConstraints. */
const BASIC_CONSTRAINTS = Buffer.from('0603551d13', 'hex');

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** As it stands, with tag and length. */
  readonly whole: Uint8Array;
}

function pathLengthIn(der: Uint8Array): number {
  const signed = children(children(der)[0]?.content)[0];
  const extensions = children(signed?.content).find(({ tag }) => tag === EXTENSIONS);
  for (const extension of children(children(extensions?.content)[0]?.content)) {
    const parts = children(extension.content);
    if (parts[0] === undefined || !BASIC_CONSTRAINTS.equals(parts[0].whole)) continue;
    const value = parts.find(({ tag }) => tag === OCTETS);
    const length = children(children(value?.content)[0]?.content).find(({ tag }) => tag === INTEGER);
    return length === undefined ? Infinity : length.content.reduce((sum, byte) => sum * 256 + byte, 0);
  }
  return Infinity;
}

/** What stands in a sequence, one after the other. Throws RangeError where it ends too early. */
function children(bytes: Uint8Array = new Uint8Array()): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const { start, end } = extentOf(bytes, at);
    found.push({ tag: bytes[at] ?? 0, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) });
    at = end;
  }
  return found;
}

/** X.690 8.1.3, for lengths that are known and tags of one byte: all that certificates have. */
function extentOf(bytes: Uint8Array, at: number): { readonly start: number; readonly end: number } {
  const first = bytes[at + 1] ?? 0;
  const more = first < 0x80 ? 0 : first - 0x80;
  const start = at + 2 + more;
  const length = more === 0 ? first : bytes.subarray(at + 2, start).reduce((sum, byte) => sum * 256 + byte, 0);
  if (start + length > bytes.length || more > 4) throw new RangeError('an element ends behind what holds it');
  return { start, end: start + length };
}
