import { expect, test } from 'vitest';
import { NoRoom } from '../../../src/blobs/blob-store.ts';
import { Room, type RoomDeps } from '../../../src/evict/room.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

const SPACE = { freeBytes: 1000, totalBytes: 1000, freeInodes: 0, totalInodes: 0 };

/** Two processes over one disk of 1000 bytes, of which a fifth stays free; the records would let them have all of it. */
function twoRooms(): readonly [Room, Room] {
  const rooms: Room[] = [];
  const inventory = { usage: async () => ({ bytes: 0, blobs: 0, reserved: 0 }), reserve: async () => true };
  const deps = (other: number): RoomDeps => ({
    clock: createFakeClock(),
    blobs: { space: async () => SPACE, quarantined: async () => [] },
    records: { inventory } as unknown as RoomDeps['records'],
    limits: () => ({ maxBytes: undefined, watermarks: { high: 0.95, low: 0.85 }, keepFree: 0.2 }),
    unwrittenElsewhere: async () => rooms[other]!.unwritten(),
  });
  rooms.push(new Room(deps(1)), new Room(deps(0)));
  return [rooms[0]!, rooms[1]!];
}

test('what another process is about to write is not there for this one', async () => {
  const [one, other] = twoRooms();
  await one.setAside('a', 0, 500);
  await expect(other.setAside('b', 0, 500)).rejects.toThrow(NoRoom);
  expect(other.unwritten()).toBe(0);
  await other.setAside('b', 0, 300);
  expect((await one.stock()).unwritten).toBe(800);
});

test('two that look at once do not both have it', async () => {
  const [one, other] = twoRooms();
  const given = await Promise.allSettled([one.setAside('a', 0, 500), other.setAside('b', 0, 500)]);
  expect(given.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(2);
  expect(one.unwritten() + other.unwritten()).toBeLessThanOrEqual(800);
});
