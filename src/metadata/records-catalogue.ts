import { catalogueForm } from './forms.ts';
import { CATALOGUE_SLOT, bounded, catalogueKey, repositorySlot } from './keys.ts';
import type { Records } from './records.ts';
import { putIfAbsent, type Table } from './table.ts';

/**
 * The names of all repositories that hold something, in a slot of their own, which no commit can span together with a
 * repository's. So a name is there before the first link or tag and looked for again after it, and whoever empties a
 * repository looks again after taking the name away: of two that cross, the later one sees the other and sets it right.
 */
export interface Catalogue extends Pick<Records, 'repositories'> {
  enlist(repository: string): Promise<void>;
  /** Takes the name away if the repository holds nothing now. */
  delistIfEmpty(repository: string): Promise<void>;
}

export function createCatalogue(table: Table): Catalogue {
  const { store } = table;

  const enlist = (repository: string): Promise<void> =>
    putIfAbsent(store, CATALOGUE_SLOT, catalogueKey(repository), catalogueForm.encode({ repository }));

  async function isEmpty(repository: string): Promise<boolean> {
    const slot = repositorySlot(repository);
    if ((await store.list(slot, 'tags', undefined, 1)).length > 0) return false;
    return (await store.list(slot, 'links', undefined, 1)).length === 0;
  }

  return {
    enlist,
    async delistIfEmpty(repository) {
      if (!(await isEmpty(repository))) return;
      await store.commit(CATALOGUE_SLOT, [{ key: catalogueKey(repository), value: undefined }]);
      if (!(await isEmpty(repository))) await enlist(repository);
    },
    /** A name whose repository is empty, left by a crash between two of our steps, is passed over. */
    async repositories(after, limit) {
      const found: string[] = [];
      let from = after === undefined ? undefined : bounded(after);
      while (found.length < limit) {
        const page = await store.list(CATALOGUE_SLOT, 'repositories', from, limit - found.length);
        from = page.at(-1)?.id;
        if (from === undefined) break;
        const names = page.flatMap(({ value }) => catalogueForm.decode(value)?.repository ?? []);
        const empty = await Promise.all(names.map(isEmpty));
        found.push(...names.filter((_, at) => empty[at] === false));
      }
      return found;
    },
  };
}
