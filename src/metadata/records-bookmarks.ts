import { bookmarkForm } from './forms.ts';
import { BOOKMARK_KEY, taskSlot } from './keys.ts';
import type { MaybePromise } from './metadata-store.ts';
import type { Table } from './table.ts';

/** How far a long task has come, by its name, so that a restart goes on where it was. */
export interface Bookmarks {
  get(task: string): MaybePromise<Bookmark | undefined>;
  put(task: string, bookmark: Bookmark): Promise<void>;
}

export interface Bookmark {
  /** When this round of it began, ms since the epoch. */
  readonly started: number;
  /** Up to where it is done, as the task counts; nothing yet. */
  readonly at?: string;
  /** When the last whole round ended. */
  readonly ended?: number;
}

export function createBookmarks(table: Table): Bookmarks {
  return {
    get: (task) => table.get(taskSlot(task), BOOKMARK_KEY, bookmarkForm),
    async put(task, bookmark) {
      await table.store.commit(taskSlot(task), [{ key: BOOKMARK_KEY, value: bookmarkForm.encode(bookmark) }]);
    },
  };
}
