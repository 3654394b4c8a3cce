import { describe, expect, test } from 'vitest';
import {
  KEY_BYTES_MAX,
  LISTINGS_MAX,
  bounded,
  checkKeyPart,
  historyKey,
  historyStart,
  listingKey,
  moveOf,
  repositorySlot,
} from '../../../src/metadata/keys.ts';

describe('bounded', () => {
  test.each([
    ['a', 'a'],
    ['é'.repeat(256), 'é'.repeat(256)],
    ['a b', 'a b'],
  ])('%s stands as it is', (text, id) => expect(bounded(text)).toBe(id));

  test.each([[''], ['~'], ['a\0b'], ['a'.repeat(513)], ['é'.repeat(257)], [bounded('')]])('%j becomes its hash', (text) => {
    expect(bounded(text)).toMatch(/^~[0-9a-f]{64}$/);
    expect(bounded(text)).not.toBe(text);
  });
});

test('every part of a key fits, whatever the names', () => {
  const long = 'é'.repeat(2000);
  for (const part of [repositorySlot(long), historyKey(long, 0)[1], historyStart('t'.repeat(505)), listingKey(long)[1]]) {
    expect(() => checkKeyPart(part)).not.toThrow();
    expect(Buffer.byteLength(part)).toBeLessThanOrEqual(KEY_BYTES_MAX);
  }
});

test('a later move has a smaller id, within the ids of its tag', () => {
  const ids = [0, 1, 9, 10, 999, 1000, 0xffff_fffe].map((move) => historyKey('a', move)[1]);
  expect(ids.toSorted()).toEqual(ids.toReversed());
  expect(ids.map(moveOf)).toEqual([0, 1, 9, 10, 999, 1000, 0xffff_fffe]);
  expect(historyKey('a-b', 5)[1].startsWith(historyStart('a'))).toBe(false);
});

test('the lists of a repository fall under a bounded number of keys', () => {
  const ids = new Set(Array.from({ length: 20_000 }, (_, at) => listingKey(`tags?last=${at}`)[1]));
  expect(ids.size).toBeLessThanOrEqual(LISTINGS_MAX);
  expect(ids.size).toBeGreaterThan(LISTINGS_MAX / 2);
});
