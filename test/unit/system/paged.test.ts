import { describe, expect, test } from 'vitest';
import { paged, pagesOf } from '../../../src/system/paged.ts';

/** The numbers below `end`, as a store lists them. */
function numbersBelow(end: number) {
  const asked: { after: number | undefined; limit: number }[] = [];
  return {
    asked,
    read(after: number | undefined, limit: number): number[] {
      asked.push({ after, limit });
      const from = after === undefined ? 0 : after + 1;
      return Array.from({ length: Math.max(0, Math.min(limit, end - from)) }, (_, at) => from + at);
    },
  };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const itself = (one: number): number => one;

describe('a list that is read page by page', () => {
  test.each([0, 1, 4, 5, 6, 10, 11])('of %i items comes whole, each item once, in its order', async (end) => {
    expect(await all(paged(numbersBelow(end).read, itself, 5))).toEqual(Array.from({ length: end }, (_, at) => at));
  });

  test('is asked for by the last item, and no more once a page was not full', async () => {
    const list = numbersBelow(7);
    expect(await all(pagesOf(list.read, itself, 5))).toEqual([
      [0, 1, 2, 3, 4],
      [5, 6],
    ]);
    expect(list.asked).toEqual([
      { after: undefined, limit: 5 },
      { after: 4, limit: 5 },
    ]);
  });

  test('is not read ahead of whoever reads it', async () => {
    const list = numbersBelow(1_000);
    for await (const one of paged(list.read, itself, 5)) if (one === 4) break;
    expect(list.asked).toHaveLength(1);
  });

  test('gives others their turn between two pages', async () => {
    let others = 0;
    setImmediate(() => (others += 1));
    const seen: number[] = [];
    for await (const [first] of pagesOf(numbersBelow(7).read, itself, 5)) seen.push((first ?? 0) + others);
    expect(seen).toEqual([0, 6]);
  });

  test('ends with the error of the page that cannot be read', async () => {
    const read = (after: number | undefined): Promise<number[]> =>
      after === undefined ? Promise.resolve([0, 1]) : Promise.reject(new Error('the store is gone'));
    const found: number[] = [];
    const reading = async (): Promise<void> => {
      for await (const one of paged(read, itself, 2)) found.push(one);
    };
    await expect(reading()).rejects.toThrow('the store is gone');
    expect(found).toEqual([0, 1]);
  });
});
