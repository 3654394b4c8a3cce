import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRecords, type Inventory, type Records } from '../../src/metadata/records.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import type { StoreUnderTest } from './metadata-store.ts';
import { digest } from './records.ts';

const [X, Y, Z] = [digest('x'), digest('y'), digest('z')];

/** What the inventory of the cache must do over every store. */
export function inventoryConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`the inventory over ${name}`, () => {
    let under: StoreUnderTest;
    let one: Records;
    let two: Records;
    let inventory: Inventory;

    beforeEach(async () => {
      under = await make();
      one = createRecords(under.store, { clock: createFakeClock(1000) });
      two = createRecords(under.other, { clock: createFakeClock(1000) });
      inventory = one.inventory;
    });
    afterEach(() => under.clean());

    const names = async (): Promise<readonly string[]> =>
      (await inventory.oldest(undefined, 10)).map(({ digest: found, position }) => `${nameOf(found)}@${position}`);

    test('sums what is entered and what is set aside', async () => {
      expect(await inventory.usage()).toEqual({ bytes: 0, blobs: 0, reserved: 0 });
      await inventory.reserve('p', 100);
      await inventory.enter(X, { size: 10, position: 5 });
      expect(await inventory.usage()).toEqual({ bytes: 10, blobs: 1, reserved: 100 });
      await inventory.enter(Y, { size: 90, position: 6 }, 'p');
      expect(await inventory.usage()).toEqual({ bytes: 100, blobs: 2, reserved: 0 });
      await inventory.enter(Y, { size: 80, position: 7 });
      expect(await inventory.usage()).toEqual({ bytes: 90, blobs: 2, reserved: 0 });
      await inventory.leave([X, Y, Z]);
      expect(await inventory.usage()).toEqual({ bytes: 0, blobs: 0, reserved: 0 });
      expect(await inventory.oldest(undefined, 10)).toEqual([]);
    });

    test('sets nothing aside beyond the limit, however many ask at once and from wherever', async () => {
      await inventory.enter(X, { size: 30, position: 5 });
      const asked = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? one : two).inventory.reserve(`p${at}`, 10, 100));
      expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(7);
      expect(await inventory.usage()).toEqual({ bytes: 30, blobs: 1, reserved: 70 });
    });

    test('a reservation is replaced, not added to, and given back', async () => {
      expect(await inventory.reserve('p', 60, 100)).toBe(true);
      expect(await inventory.reserve('p', 90, 100)).toBe(true);
      expect(await inventory.reserve('p', 110, 100)).toBe(false);
      expect(await inventory.reservations(undefined, 10)).toEqual([{ part: 'p', bytes: 90 }]);
      expect(await inventory.reserve('p', 20, 10)).toBe(true);
      expect(await inventory.reserve('p', 0)).toBe(true);
      expect(await inventory.reservations(undefined, 10)).toEqual([]);
      expect((await inventory.usage()).reserved).toBe(0);
    });

    test('entries stand in the order of leaving, in pages, and move within it', async () => {
      await inventory.enter(X, { size: 1, position: 500 });
      await inventory.enter(Y, { size: 1, position: 3 });
      await inventory.enter(Z, { size: 1, position: 40 });
      expect(await names()).toEqual(['y@3', 'z@40', 'x@500']);
      const [first] = await inventory.oldest(undefined, 1);
      expect((await inventory.oldest(first, 1)).map((place) => nameOf(place.digest))).toEqual(['z']);
      await inventory.move([{ from: { digest: Y, size: 1, position: 3 }, to: 600 }]);
      expect(await names()).toEqual(['z@40', 'x@500', 'y@600']);
    });

    test('what moved meanwhile is not moved back, and what is gone does not come back', async () => {
      await inventory.enter(X, { size: 1, position: 5 });
      const seen = { digest: X, size: 1, position: 5 };
      await two.inventory.move([{ from: seen, to: 9 }]);
      await inventory.move([{ from: seen, to: 7 }]);
      expect(await names()).toEqual(['x@9']);
      await two.inventory.leave([X]);
      await inventory.move([{ from: { ...seen, position: 9 }, to: 11 }]);
      expect(await names()).toEqual([]);
      expect(await inventory.usage()).toEqual({ bytes: 0, blobs: 0, reserved: 0 });
    });

    test('what is entered again moves up, never back', async () => {
      await inventory.enter(X, { size: 1, position: 50 });
      await inventory.enter(X, { size: 1, position: 20 });
      expect(await names()).toEqual(['x@50']);
    });

    test('what is about to go is noted until it left, or is spared', async () => {
      await inventory.enter(X, { size: 1, position: 1 });
      await inventory.begin([X, Y]);
      expect([...(await inventory.going(undefined, 10))].sort()).toEqual([X, Y].sort());
      await inventory.leave([X]);
      expect(await inventory.going(undefined, 10)).toEqual([Y]);
      await inventory.spare([Y]);
      expect(await inventory.going(undefined, 10)).toEqual([]);
    });

    test('what is entered while it goes stays, and what was taken out before its bytes came is entered again', async () => {
      await inventory.enter(X, { size: 1, position: 1 });
      await inventory.begin([X, Y]);
      await two.inventory.enter(X, { size: 1, position: 2 });
      expect(await inventory.going(undefined, 10), 'it is marked still').toHaveLength(2);
      await inventory.end([X, Y, Z]);
      expect([await names(), await inventory.going(undefined, 10)]).toEqual([['x@2'], []]);
      await inventory.begin([X]);
      await inventory.end([X]);
      await two.inventory.published(X, { size: 1, position: 2 });
      expect(await names()).toEqual(['x@2']);
      await inventory.begin([X]);
      await two.inventory.published(X, { size: 1, position: 2 });
      await inventory.end([X]);
      await inventory.end([X]);
      expect([await names(), (await inventory.usage()).bytes]).toEqual([['x@2'], 1]);
    });

    test('what is published as it was entered costs no commit', async () => {
      await inventory.enter(X, { size: 1, position: 1 });
      await inventory.published(X, { size: 1, position: 9 });
      expect(await names()).toEqual(['x@1']);
    });
  });

  describe(`evictions over ${name}`, () => {
    let under: StoreUnderTest;
    let records: Records;

    beforeEach(async () => {
      under = await make();
      records = createRecords(under.store, { clock: createFakeClock(1000) });
      await records.putBlob(X, { size: 3, public: true, state: 'held', at: 1 });
      await records.putLink('docker.io/library/a', X, { kind: 'blob', size: 3, by: 'upstream', at: 1 });
    });
    afterEach(() => under.clean());

    test('bytes go, links stay, and it can be had again', async () => {
      expect(await records.beginEviction(X)).toBe(true);
      expect((await records.blob(X))?.state).toBe('evicting');
      expect(await records.putBlob(X, { size: 3, public: true, state: 'held', at: 2 })).toBe(false);
      expect(await records.endEviction(X)).toBe(true);
      expect(await records.blob(X)).toBeUndefined();
      expect(await records.link('docker.io/library/a', X)).toBeDefined();
      expect(await records.putBlob(X, { size: 3, public: true, state: 'held', at: 2 })).toBe(true);
      expect(await records.endEviction(X)).toBe(false);
    });

    test('what is hosted too is not evicted, and a push waits for one that began', async () => {
      expect(await records.beginEviction(X)).toBe(true);
      expect(await records.hold('acme.test/app', X, { kind: 'blob', by: 'push' })).toBe(false);
      await records.endEviction(X);
      expect(await records.hold('acme.test/app', X, { kind: 'blob', by: 'push' })).toBe(true);
      expect(await records.isHosted(X)).toBe(true);
      expect(await records.beginEviction(X)).toBe(false);
    });
  });
}

const nameOf = (found: string): string => ({ [X]: 'x', [Y]: 'y', [Z]: 'z' })[found] ?? found;
