import { expect, test } from 'vitest';
import { readFully } from '../../../src/system/read-fully.ts';

/** Gives two bytes at a time. */
function fileOf(text: string) {
  const bytes = Buffer.from(text);
  return { read: async (into: Uint8Array, position: number) => bytes.copy(into.subarray(0, 2), 0, position) };
}

test.each([
  ['abcdefg', 0, 5, 'abcde'],
  ['abcdefg', 3, 4, 'defg'],
  ['abcdefg', 3, 9, 'defg'],
  ['abcdefg', 7, 3, ''],
  ['', 0, 0, ''],
])('of %j from %i on %i bytes are %j, however few come at once', async (text, position, length, expected) => {
  const into = Buffer.alloc(length);
  const count = await readFully(fileOf(text), into, position);
  expect(into.toString('utf8', 0, count)).toBe(expected);
});
