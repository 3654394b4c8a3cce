import type { HostedStock } from '../evict/hosted-stock.ts';
import type { StoredAmount } from '../observe/sources.ts';
import type { Storage } from './storage.ts';

/** What lies on the disk, by what it is there for; as it is counted, so that no scrape walks the store. */
export async function storedAmounts(
  { blobs, records }: Pick<Storage, 'blobs' | 'records'>,
  hosted: HostedStock,
): Promise<readonly StoredAmount[]> {
  const [usage, parts, quarantined] = await Promise.all([records.inventory.usage(), blobs.parts(), blobs.quarantined()]);
  const pushed = hosted.amount();
  return [
    { kind: 'cached', bytes: usage.bytes, blobs: usage.blobs },
    ...(pushed === undefined ? [] : [{ kind: 'hosted' as const, ...pushed }]),
    sum('partial', parts),
    sum('quarantine', quarantined),
  ];
}

function sum(kind: StoredAmount['kind'], found: readonly { readonly size: number }[]): StoredAmount {
  return { kind, bytes: found.reduce((all, { size }) => all + size, 0), blobs: found.length };
}
