import { expect, test } from 'vitest';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import type { Chains } from '../../../src/compose/chains.ts';
import { createCollecting, type Collecting } from '../../../src/compose/collecting.ts';
import type { Storage } from '../../../src/compose/storage.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';

const clock = createFakeClock(1_700_000_000_000);

function collecting(): Collecting {
  const records = createRecords(createMemoryMetadata(), { clock });
  const isDead = (holder: string): boolean => holder !== 'host 1 us';
  const storage = { blobs: {} as BlobStore, records, holder: 'host 1 us', isDead } as unknown as Storage;
  const config = { storage: { uploadpurging: { enabled: false } }, routes: [] };
  const chains = () => ({ config }) as unknown as Chains;
  return createCollecting({ system: { clock }, storage, chains, report: () => undefined });
}

async function isRefused({ collect }: Collecting): Promise<boolean> {
  try {
    for await (const step of collect({ dryRun: true, deleteUntagged: false })) if (step.kind === 'collected') return false;
  } catch (error) {
    if ((error as Error).message.includes('is running')) return true;
    throw error;
  }
  return false;
}

test('who keeps collections out has the right for as long as it takes, in the very process that looks for dead ones', async () => {
  const house = collecting();
  house.start();
  const turn = await house.keepOut();
  for (let minute = 0; minute < 30; minute += 1) {
    await clock.advance(60_000);
    await turn.check();
    expect(await isRefused(house)).toBe(true);
  }
  await expect(house.keepOut()).rejects.toThrow('another collection, import or backup is running');
  await turn.end();
  expect(await isRefused(house)).toBe(false);
  const second = await house.keepOut();
  await second.check();
  await second.end();
  house.stop();
});
