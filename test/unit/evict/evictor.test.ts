import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EvictionEvent } from '../../../src/evict/events.ts';
import { Evictor } from '../../../src/evict/evictor.ts';
import { takeTurn } from '../../../src/evict/turn.ts';
import { randomBlob } from '../../fakes/images.ts';
import { createCacheHouse, type CacheHouse } from './cache-house.ts';

const HOUR = 3600_000;

let house: CacheHouse;
beforeEach(async () => {
  house = await createCacheHouse({ limits: { maxBytes: 1000, watermarks: { high: 1, low: 1 } } });
  for (let seed = 1; seed <= 3; seed += 1) await house.cache(randomBlob(300, seed));
  house.clock.jump(HOUR);
});
afterEach(() => house.close());

const held = async (): Promise<number> => (await house.records.inventory.usage()).bytes;

describe('room that is asked for', () => {
  test('is made for who asks for more while the round looks whether less fits', async () => {
    const excess = house.room.excess.bind(house.room);
    let more: Promise<unknown> | undefined;
    house.room.excess = async (wanted) => {
      const found = await excess(wanted);
      more ??= house.evictor.makeRoom(600);
      return found;
    };
    await house.evictor.makeRoom(50);
    expect(await more).toEqual({ bytes: 0, files: 0 });
    expect(await held()).toBe(300);
  });

  test('is made for who asks while the turn of a round is given back', async () => {
    const dropLease = house.records.tasks.dropLease.bind(house.records.tasks);
    let more: Promise<unknown> | undefined;
    Object.assign(house.records.tasks, {
      async dropLease(...given: Parameters<typeof dropLease>) {
        more ??= house.evictor.makeRoom(600);
        return dropLease(...given);
      },
    });
    await house.evictor.makeRoom(50);
    expect(await more).toEqual({ bytes: 0, files: 0 });
    expect(await held()).toBe(300);
  });
});

describe('a stop', () => {
  test('does not wait for the turn that another process has', async () => {
    const turns = { clock: house.clock, records: house.records, holder: 'host 1 e', isDead: () => false };
    const events: EvictionEvent[] = [];
    const evictor = new Evictor({
      ...turns,
      blobs: house.files,
      room: house.room,
      keep: () => Promise.reject(new Error('nothing may go')),
      maxAgeMin: () => undefined,
      report: (event) => events.push(event),
    });
    await takeTurn('evict', { ...turns, holder: 'host 2 x' });
    const asked = evictor.makeRoom(600);
    await house.clock.advance(300);
    await evictor.stop();
    await asked;
    expect(events).toEqual([]);
  });
});
