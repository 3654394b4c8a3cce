import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRecords, type Records } from '../../src/metadata/records.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import type { StoreUnderTest } from './metadata-store.ts';

const APP = 'registry.test/team/app';
const WEB = 'registry.test/team/web';
const MAX = 100;

/** What the outbox must do over every store. */
export function outboxConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`the outbox over ${name}`, () => {
    let under: StoreUnderTest;
    let one: Records;
    let two: Records;

    beforeEach(async () => {
      under = await make();
      one = createRecords(under.store, { clock: createFakeClock(1000) });
      two = createRecords(under.other, { clock: createFakeClock(1000) });
    });
    afterEach(() => under.clean());

    const add = (records: Records, receiver: string, repository: string, events: readonly string[], max = MAX) =>
      records.outbox.append(
        events.map((event) => ({ receiver, repository, event })),
        max,
      );

    /** Everything that waits, taken out in order. */
    async function drained(records: Records, receiver: string): Promise<string[]> {
      const told: string[] = [];
      for (;;) {
        const head = await records.outbox.head(receiver);
        if (head === undefined) return told;
        if (head.event !== undefined) told.push(`${head.repository.slice(-3)} ${head.event.text}`);
        await records.outbox.remove(receiver, head);
      }
    }

    test('what one process adds another takes out, in order, each receiver for itself', async () => {
      await add(one, 'ci', APP, ['1', '2']);
      await add(two, 'ci', WEB, ['3']);
      await add(one, 'ci', APP, ['4']);
      await add(one, 'ci 0', APP, ['other']);
      await add(one, 'c', APP, ['another']);
      expect(await two.outbox.pending('ci')).toBe(4);
      expect(await drained(two, 'ci')).toEqual(['app 1', 'app 2', 'web 3', 'app 4']);
      expect(await one.outbox.pending('ci')).toBe(0);
      expect(await drained(two, 'ci 0')).toEqual(['app other']);
      expect(await drained(two, 'c')).toEqual(['app another']);
      expect(await two.outbox.head('ci')).toBeUndefined();
    });

    test('of a receiver no more than so many wait; the oldest go, and are counted', async () => {
      expect(await add(one, 'ci', APP, ['1', '2', '3'], 4)).toEqual(new Map([['ci', 0]]));
      expect(await add(two, 'ci', WEB, ['4', '5', '6'], 4)).toEqual(new Map([['ci', 2]]));
      expect(await add(one, 'other', WEB, ['7'], 4)).toEqual(new Map([['other', 0]]));
      expect(await one.outbox.pending('ci')).toBe(4);
      expect(await drained(one, 'ci')).toEqual(['app 3', 'web 4', 'web 5', 'web 6']);
      expect(await drained(one, 'other')).toEqual(['web 7']);
    });

    test('while many add and one takes out nothing is lost, and each repository keeps its order', async () => {
      const told: string[] = [];
      let adding = true;
      const taking = (async () => {
        while (adding || (await two.outbox.head('ci')) !== undefined) {
          told.push(...(await drained(two, 'ci')));
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
      })();
      const add40 = async (records: Records, repository: string): Promise<void> => {
        for (let at = 0; at < 40; at++) await add(records, 'ci', repository, [String(at).padStart(2, '0')], 1000);
      };
      await Promise.all([add40(one, APP), add40(two, WEB), add40(one, `${APP}/zzz`)]);
      adding = false;
      await taking;
      for (const repository of ['app', 'web', 'zzz']) {
        const its = told.filter((text) => text.startsWith(repository));
        expect(its).toEqual(Array.from({ length: 40 }, (_, at) => `${repository} ${String(at).padStart(2, '0')}`));
      }
      expect(await one.outbox.pending('ci')).toBe(0);
    });

    test('the right to deliver is one of each receiver', async () => {
      const first = await one.outbox.takeLease('ci', 'one', 100, 200);
      expect(first.taken).toBe(true);
      expect((await two.outbox.takeLease('ci', 'two', 199, 300)).taken).toBe(false);
      expect((await two.outbox.takeLease('other', 'two', 199, 300)).taken).toBe(true);
      const second = await two.outbox.takeLease('ci', 'two', 200, 300);
      expect(second.lease.fence).toBeGreaterThan(first.lease.fence);
      expect(await one.outbox.renewLease('ci', first.lease, { until: 900 })).toBe(false);
    });
  });
}
