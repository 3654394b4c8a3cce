import { listingForm, memoryForm } from './forms.ts';
import { listingKey, memoryKey, repositorySlot, upstreamSlot } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Records } from './records.ts';
import type { Table } from './table.ts';

type Listings = Pick<Records, 'listing' | 'putListing' | 'dropListing' | 'remembered' | 'remember'>;

/** Answers of upstreams and what they want remembered. Two lists that fall under one key displace each other (keys.ts). */
export function createListings(table: Table): Listings {
  const { store } = table;
  return {
    listing: (repository, key) =>
      andThen(table.get(repositorySlot(repository), listingKey(key), listingForm), (found) => {
        if (found?.key !== key) return undefined;
        const { key: _, ...listing } = found;
        return listing;
      }),
    async putListing(repository, key, record) {
      const value = listingForm.encode({ ...record, key });
      await store.commit(repositorySlot(repository), [{ key: listingKey(key), value }]);
    },
    async dropListing(repository, key) {
      await store.commit(repositorySlot(repository), [{ key: listingKey(key), value: undefined }]);
    },
    remembered: (upstream, key) => table.get(upstreamSlot(upstream), memoryKey(key), memoryForm),
    async remember(upstream, key, record) {
      await store.commit(upstreamSlot(upstream), [{ key: memoryKey(key), value: memoryForm.encode(record) }]);
    },
  };
}
