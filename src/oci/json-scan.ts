const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

/**
 * True when JSON text nests deeper than `max`, found in one pass before anybody parses it: `JSON.parse` takes two million
 * levels, and whatever then walks the result runs out of stack.
 */
export function jsonDepthExceeds(bytes: Uint8Array, max: number): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length; at = next(bytes, at)) {
    depth += step(bytes[at]);
    if (depth > max) return true;
  }
  return false;
}

/**
 * A key that the outermost object of sound JSON has twice, escapes undone; `undefined` if there is none. `JSON.parse` takes
 * the last of two in silence, other parsers the first. One pass over the bytes.
 */
export function duplicateKey(bytes: Uint8Array): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let expectsKey = false;
  for (let at = 0; at < bytes.length; at = next(bytes, at)) {
    const byte = bytes[at];
    depth += step(byte);
    if (depth !== 1) continue;
    if (byte === OPEN_BRACE || byte === COMMA) expectsKey = true;
    else if (byte === QUOTE && expectsKey) {
      const key = JSON.parse(new TextDecoder().decode(bytes.subarray(at, next(bytes, at)))) as string;
      if (seen.has(key)) return key;
      seen.add(key);
      expectsKey = false;
    }
  }
  return undefined;
}

/** Whether any object of sound JSON has a key twice, however deep and however written. One pass over the bytes. */
export function repeatsKey(bytes: Uint8Array): boolean {
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let at = 0; at < bytes.length; at = next(bytes, at)) {
    const byte = bytes[at];
    const change = step(byte);
    if (change > 0) open.push(byte === OPEN_BRACE ? new Set() : undefined);
    else if (change < 0) open.pop();
    const keys = open.at(-1);
    if (change > 0 || byte === COMMA) expectsKey = keys !== undefined;
    else if (byte === QUOTE && expectsKey && keys !== undefined) {
      const key = JSON.parse(new TextDecoder().decode(bytes.subarray(at, next(bytes, at)))) as string;
      if (keys.has(key)) return true;
      keys.add(key);
      expectsKey = false;
    }
  }
  return false;
}

/** What a byte outside of strings adds to the depth. */
function step(byte: number | undefined): number {
  if (byte === OPEN_BRACE || byte === OPEN_BRACKET) return 1;
  return byte === CLOSE_BRACE || byte === CLOSE_BRACKET ? -1 : 0;
}

/** The place behind the byte at `start`, or behind the string that begins there. */
function next(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== QUOTE) return start + 1;
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}
