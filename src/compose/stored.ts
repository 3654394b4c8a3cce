import type { BlobStore } from '../blobs/blob-store.ts';
import type { HostedStock } from '../evict/hosted-stock.ts';
import { partialSizes } from '../evict/reservations.ts';
import type { Records } from '../metadata/records.ts';
import type { StoredAmount } from '../observe/sources.ts';

export interface StoredDeps {
  readonly blobs: Pick<BlobStore, 'parts' | 'quarantined'>;
  readonly records: Pick<Records, 'inventory' | 'uploads'>;
}

/** What lies on the disk, by what it is there for; as it is counted, so that no scrape walks the store. */
export async function storedAmounts({ blobs, records }: StoredDeps, hosted: HostedStock): Promise<readonly StoredAmount[]> {
  // What becomes a blob meanwhile is missing from this scrape rather than in it twice: the sum is held against `maxsize`.
  const usage = await records.inventory.usage();
  const [parts, quarantined] = await Promise.all([partialSizes({ blobs, records }), blobs.quarantined()]);
  const pushed = hosted.amount();
  return [
    { kind: 'cached', bytes: usage.bytes, blobs: usage.blobs },
    ...(pushed === undefined ? [] : [{ kind: 'hosted' as const, ...pushed }]),
    sum('partial', parts),
    sum(
      'quarantine',
      quarantined.map(({ size }) => size),
    ),
  ];
}

function sum(kind: StoredAmount['kind'], sizes: readonly number[]): StoredAmount {
  return { kind, bytes: sizes.reduce((all, size) => all + size, 0), blobs: sizes.length };
}
