import { expect, test } from 'vitest';
import { storedAmounts } from '../../../src/compose/stored.ts';
import { HostedStock } from '../../../src/evict/hosted-stock.ts';
import type { StoredAmount } from '../../../src/observe/sources.ts';
import { randomId } from '../../../src/system/random.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { createCacheHouse } from './cache-house.ts';

test('a scrape told a blob twice that was about to be renamed: as held, and as a part', async () => {
  const inner = createMemoryDisk();
  let onRename = (): Promise<unknown> => Promise.resolve();
  const disk: typeof inner = {
    ...inner,
    async rename(from, to) {
      await onRename();
      await inner.rename(from, to);
    },
  };
  const house = await createCacheHouse({ disk });
  const hosted = new HostedStock({ clock: house.clock, records: house.records });
  const told = async (): Promise<readonly Pick<StoredAmount, 'kind' | 'bytes'>[]> => {
    const amounts = await storedAmounts(house, hosted);
    return amounts.map(({ kind, bytes }) => ({ kind, bytes }));
  };
  const amounts = (cached: number, partial: number): unknown => [
    { kind: 'cached', bytes: cached },
    { kind: 'partial', bytes: partial },
    { kind: 'quarantine', bytes: 0 },
  ];

  const begun = await house.blobs.part(randomId(createSeededRandom(9)), false, 700);
  await begun.write(randomBlob(300).bytes, 0);
  expect(await told()).toEqual(amounts(0, 300));

  const blob = randomBlob(500, 2);
  const meanwhile: unknown[] = [];
  onRename = async () => void meanwhile.push(await told());
  await house.cache(blob);
  expect(meanwhile).toEqual([amounts(500, 300)]);
  expect(await told()).toEqual(amounts(500, 300));

  await begun.discard();
  begun.release();
  await house.close();
});
