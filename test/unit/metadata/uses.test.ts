import { beforeEach, expect, test } from 'vitest';
import type { MetadataEvent } from '../../../src/metadata/events.ts';
import { BLOB_KEY, digestSlot, fillLeaseKey } from '../../../src/metadata/keys.ts';
import type { MetadataStore } from '../../../src/metadata/metadata-store.ts';
import { USES_WAITING_MAX } from '../../../src/metadata/records-uses.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { bytes } from '../../conformance/metadata-store.ts';
import { digest } from '../../conformance/records.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';

const A = 'docker.io/library/a';
const X = digest('x');
const FILL = { registry: 'docker.io', digest: X };

let store: MemoryMetadata;
let clock: FakeClock;
let events: MetadataEvent[];
let records: Records;

beforeEach(async () => {
  store = createMemoryMetadata();
  clock = createFakeClock(1000);
  events = [];
  records = createRecords(store, { clock, batchIntervalMs: 50, report: (event) => events.push(event) });
  await records.ping();
});

test('nothing is written before the interval, once at it, and no timer stays', async () => {
  let commits = 0;
  store.beforeCommit(() => void commits++);
  for (let at = 0; at < 100; at++) records.used(A, { digest: X, bytes: true });
  await clock.advance(49);
  expect(commits).toBe(0);
  await clock.advance(1);
  expect(commits).toBe(1);
  expect(clock.pending()).toBe(0);
});

test('while the store is down uses wait, and are counted once when it is back', async () => {
  records.used(A, { tag: 't', digest: X, bytes: true });
  store.setDown(true);
  await clock.advance(120);
  expect(events).toContainEqual({ kind: 'uses-unwritten', kept: 2, lost: 0, error: expect.any(Error) });
  records.used(A, { tag: 't', digest: X, bytes: true });
  store.setDown(false);
  await clock.advance(50);
  expect(await records.pulls(A)).toEqual({ pulls: 2, last: 1120 });
  expect(await records.lastUse(X)).toBe(1120);
});

test('what waits is bounded, and what was not noted is reported', async () => {
  for (let at = 0; at < USES_WAITING_MAX + 7; at++) records.used(A, { digest: digest(String(at)), bytes: true });
  await clock.advance(50);
  await records.close();
  expect(events).toEqual([{ kind: 'uses-unwritten', kept: 0, lost: 7, error: undefined }]);
});

test('others get their turn while the uses of many images are looked up and written', async () => {
  const turn = { reads: 0, most: 0 };
  const counting: MetadataStore = {
    ...store,
    get(slot, key) {
      turn.reads += 1;
      turn.most = Math.max(turn.most, turn.reads);
      return store.get(slot, key);
    },
  };
  const imageOf = async (_: string, root: Digest): Promise<readonly Digest[]> => {
    for (let at = 0; at < 10; at++) await counting.get(digestSlot(root), BLOB_KEY);
    return [];
  };
  const noting = createRecords(counting, { clock, imageOf });
  // The second time nothing is to be written that would be waited for.
  for (const round of [1, 2]) {
    for (let at = 0; at < 1000; at++) noting.used(A, { digest: digest(String(at)), bytes: true });
    let isOver = false;
    (function begin(): void {
      turn.reads = 0;
      if (!isOver) setImmediate(begin);
    })();
    await noting.writeUses();
    isOver = true;
    expect(turn.most, `round ${round}`).toBeLessThan(300);
  }
});

test('a clock that jumped back does not make a use older', async () => {
  records.used(A, { digest: X, bytes: true });
  await clock.advance(50);
  clock.jump(-900);
  records.used(A, { digest: X, bytes: true });
  await clock.advance(50);
  expect(await records.lastUse(X)).toBe(1000);
});

test('a lease that cannot be read does not set its fence back', async () => {
  for (let at = 0; at < 5; at++) await records.takeLease(FILL, 'h', at * 10, at * 10 + 10);
  await store.commit(digestSlot(X), [{ key: fillLeaseKey(FILL.registry), value: bytes('junk') }]);
  const { taken, lease } = await records.takeLease(FILL, 'h', 0, 1);
  expect(taken).toBe(true);
  expect(lease.fence).toBeGreaterThan(5);
});
