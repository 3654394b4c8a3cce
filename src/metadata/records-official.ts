import { officialForm, withheldForm } from './forms.ts';
import { OFFICIAL_KEY, OFFICIAL_SLOT, repositorySlot, withheldKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { MaybePromise } from './metadata-store.ts';
import type { Table } from './table.ts';

/** What is remembered of an official registry's data, in which nothing is ever changed (`src/official/`). */
export interface OfficialRecords {
  /** Whether this tag or digest was deleted here, whatever stands in that registry's data. */
  isWithheld(repository: string, reference: string): MaybePromise<boolean>;
  /** Written before what it names is dropped: a crash in between leaves it where it was. */
  withhold(repository: string, reference: string, at: number): Promise<void>;
  /** When everything in the data below our own root directory was taken over; `undefined`: it was not. */
  imported(): MaybePromise<number | undefined>;
  noteImported(at: number): Promise<void>;
}

export function createOfficial(table: Table): OfficialRecords {
  const { store } = table;
  return {
    isWithheld: (repository, reference) =>
      andThen(store.get(repositorySlot(repository), withheldKey(reference)), (found) => found !== undefined),
    async withhold(repository, reference, at) {
      await store.commit(repositorySlot(repository), [{ key: withheldKey(reference), value: withheldForm.encode({ at }) }]);
    },
    imported: () => andThen(table.get(OFFICIAL_SLOT, OFFICIAL_KEY, officialForm), (record) => record?.imported),
    async noteImported(at) {
      await store.commit(OFFICIAL_SLOT, [{ key: OFFICIAL_KEY, value: officialForm.encode({ imported: at }) }]);
    },
  };
}
