import { expect, test } from 'vitest';
import { listingKey } from '../../../src/metadata/keys.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';

test('of two lists that fall under one key the later displaces the other, and never answers for it', async () => {
  const first = 'tags?last=0';
  let at = 1;
  while (listingKey(`tags?last=${at}`)[1] !== listingKey(first)[1]) at++;
  const records = createRecords(createMemoryMetadata(), { clock: createFakeClock() });
  const listing = { body: 'first', headers: {}, checked: 1, upstream: 'hub' };
  await records.putListing('a.io/a', first, listing);
  await records.putListing('a.io/a', `tags?last=${at}`, { ...listing, body: 'second' });
  expect(await records.listing('a.io/a', first)).toBeUndefined();
  expect((await records.listing('a.io/a', `tags?last=${at}`))?.body).toBe('second');
});
