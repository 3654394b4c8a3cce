import { expect, test } from 'vitest';
import { createRecords } from '../../../src/metadata/records.ts';
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';

/** A rejection that nobody hears ends the process; test/setup.ts hears it here. */
test('metadata that fail in the middle of a link reject it once, and leave no second rejection alone', async () => {
  const store = createMemoryMetadata();
  const records = createRecords(store, { clock: createFakeClock() });
  const digest = digestOf(Buffer.from('x'));
  await records.ping();
  store.setDown(true);
  const link = { kind: 'blob', size: 1, by: 'upstream', upstream: 'hub', at: 0 } as const;
  await expect(records.putLink('docker.io/library/a', digest, link)).rejects.toThrow(MetadataUnavailable);
  await new Promise((resolve) => setImmediate(resolve));
});
