const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/**
 * A key that the outermost object of sound JSON has twice, escapes undone; `undefined` if there is none. `JSON.parse` takes
 * the last of two in silence, other parsers the first. One pass over the bytes.
 */
export function duplicateKey(bytes: Uint8Array): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let expectsKey = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte === QUOTE) {
      const end = endOfString(bytes, index);
      if (expectsKey && depth === 1) {
        const key = JSON.parse(new TextDecoder().decode(bytes.subarray(index, end + 1))) as string;
        if (seen.has(key)) return key;
        seen.add(key);
        expectsKey = false;
      }
      index = end;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      if (depth === 1) expectsKey = true;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1;
    else if (byte === COMMA && depth === 1) expectsKey = true;
  }
  return undefined;
}

/** The place of the quote that ends the string which begins at `start`. */
function endOfString(bytes: Uint8Array, start: number): number {
  let index = start + 1;
  while (index < bytes.length && bytes[index] !== QUOTE) index += bytes[index] === BACKSLASH ? 2 : 1;
  return Math.min(index, bytes.length - 1);
}
