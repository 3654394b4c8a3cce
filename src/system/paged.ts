import { nextTurn } from './turn.ts';

/** Few enough that nobody waits for them while they are read, many enough that a store elsewhere is seldom asked. */
const PAGE = 100;

/** The items of a list behind the one that `after` stands for, at most `limit`; fewer: these are the last. */
export type ReadPage<T, Cursor> = (after: Cursor | undefined, limit: number) => readonly T[] | Promise<readonly T[]>;

/** A list of any length from its start, one item after the other, as {@link pagesOf} reads it. */
export async function* paged<T, Cursor>(
  read: ReadPage<T, Cursor>,
  cursorOf: (last: T) => Cursor,
  limit = PAGE,
): AsyncGenerator<T> {
  for await (const page of pagesOf(read, cursorOf, limit)) yield* page;
}

/**
 * A list of any length from its start, page by page, in as much memory as a page takes. Others get their turn between two
 * pages, so that what changes meanwhile is seen if it lies ahead. `cursorOf` says what stands for an item.
 */
export async function* pagesOf<T, Cursor>(
  read: ReadPage<T, Cursor>,
  cursorOf: (last: T) => Cursor,
  limit = PAGE,
): AsyncGenerator<readonly T[]> {
  for (let after: Cursor | undefined; ;) {
    const page = await read(after, limit);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    if (page.length < limit) return;
    after = cursorOf(last);
    await nextTurn();
  }
}
