import { expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { randomBlob, type Blob } from '../../fakes/images.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { APP, HOLDER, heldBytes } from '../push/house.ts';
import { createCollectHouse } from './house.ts';

const blob: Blob = randomBlob(500, 3);

/** As a machine that slept in the middle of a push: its hold has run out when the collection comes. */
test('what is pushed while the wall clock jumps over its hold and a collection runs is refused or there', async () => {
  for (let nth = 1, reached = true; reached; nth += 1) {
    const shares = { clock: createFakeClock(), disk: createMemoryDisk(), metadata: createMemoryMetadata({ async: true }) };
    const [collector, pusher] = [await createCollectHouse(shares), await createCollectHouse({ ...shares, process: 1 })];
    let left = nth;
    shares.metadata.beforeCommit(async () => {
      left -= 1;
      if (left !== 0) return;
      shares.metadata.beforeCommit(undefined);
      shares.clock.jump(7_300_000);
      await collector.collect();
    });
    const asked = pusher.ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
    const status = await asked.then(
      (reply) => reply.status,
      (error: unknown) => (error instanceof RegistryError ? error.status : 500),
    );
    shares.metadata.beforeCommit(undefined);
    reached = left <= 0;
    expect([201, 503], `jumped before commit ${nth}`).toContain(status);
    // As after a true hour it may be gone again; what is not gone has its bytes.
    const link = await pusher.records.link(HOLDER, blob.digest);
    if (status !== 201 || link === undefined) continue;
    expect((await heldBytes(pusher.blobs, blob.digest))?.length, `jumped before commit ${nth}`).toBe(blob.size);
  }
});
