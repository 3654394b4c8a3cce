import { describe, expect, test } from 'vitest';

import { createFakeClock } from '../../fakes/fake-clock.ts';
import { FairQueue } from '../../../src/upstream/fair-queue.ts';
import { createPace } from '../../../src/upstream/pace.ts';
import { createSlots, TurnedAway, type SlotsOptions } from '../../../src/upstream/slots.ts';
import { never } from './servers.ts';

function slotsWith(options: Partial<SlotsOptions> & { readonly rate?: number } = {}) {
  const clock = createFakeClock();
  const { rate } = options;
  const pace = rate === undefined ? undefined : createPace(clock, { perSecond: rate, slack: Math.max(0, rate - 1) });
  const slots = createSlots({ upstream: 'hub', clock, count: 1, pace, ...options });
  const order: string[] = [];
  const held: (() => void)[] = [];
  const take = (name: string, small = false, signal: AbortSignal = never): void => {
    const [lane = name] = name.split(' ');
    slots.take({ lane, small }, signal).then(
      (release) => {
        order.push(name);
        held.push(release);
      },
      (error: Error) => order.push(`${name}: ${error.name}`),
    );
  };
  /** Gives back the slots in the order they were given, until nobody wants one. */
  const run = async (): Promise<readonly string[]> => {
    await clock.advance(0);
    for (let release = held.shift(); release !== undefined; release = held.shift()) {
      release();
      await clock.advance(0);
    }
    return order;
  };
  return { clock, slots, take, run, order, held };
}

describe('a fair queue', () => {
  test('serves its lanes in turn, each in its order', () => {
    const queue = new FairQueue<string>();
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.add(item.slice(0, 1), item);
    expect([queue.ahead('a'), queue.ahead('b'), queue.ahead('d')]).toEqual([6, 5, 3]);
    queue.remove('c', 'c1');
    const served: (string | undefined)[] = [];
    for (let turn = 0; turn < 3; turn++) served.push(queue.next());
    queue.add('b', 'b2');
    for (let turn = 0; turn < 4; turn++) served.push(queue.next());
    expect(served).toEqual(['a1', 'b1', 'c2', 'a2', 'b2', 'a3', undefined]);
    expect(queue.size).toBe(0);
  });
});

describe('slots', () => {
  test('are given in order within a repository, and one who leaves the queue is forgotten', async () => {
    const { take, run, slots } = slotsWith();
    const leaving = new AbortController();
    take('a 1');
    take('a 2', false, leaving.signal);
    take('a 3');
    expect(slots.busy()).toBe(3);
    leaving.abort(new Error('left'));
    expect(await run()).toEqual(['a 1', 'a 2: Error', 'a 3']);
    expect([slots.running(), slots.busy()]).toEqual([0, 0]);
  });

  test('one busy repository does not keep another waiting', async () => {
    const { take, run } = slotsWith();
    for (let turn = 1; turn <= 100; turn++) take(`busy ${turn}`);
    take('other 1');
    take('other 2');
    const order = await run();
    expect(order.indexOf('other 1')).toBeLessThanOrEqual(2);
    expect(order.indexOf('other 2')).toBeLessThanOrEqual(4);
    expect(order.length).toBe(102);
  });

  test('small questions go before layers, and do not keep layers waiting for ever', async () => {
    const { take, run } = slotsWith();
    take('running');
    for (let turn = 1; turn <= 3; turn++) take(`layers ${turn}`);
    for (let turn = 1; turn <= 100; turn++) take(`tags ${turn}`, true);
    const order = await run();
    expect(order.slice(1, 6)).toEqual(['tags 1', 'tags 2', 'tags 3', 'tags 4', 'layers 1']);
    expect(order.indexOf('layers 3')).toBeLessThanOrEqual(16);
  });

  test('some are kept for small questions, so that these never wait for layers to end', async () => {
    const { clock, take, order, slots } = slotsWith({ count: 8 });
    for (let turn = 1; turn <= 20; turn++) take(`layers ${turn}`);
    take('tag', true);
    await clock.advance(0);
    expect(order.filter((name) => name.startsWith('layers')).length).toBe(7);
    expect(order).toContain('tag');
    expect(slots.running()).toBe(8);
  });

  test('a queue has an end', async () => {
    const { clock, take, order } = slotsWith({ waitingMax: 1 });
    take('a');
    take('b');
    take('c');
    await clock.advance(0);
    expect(order).toEqual(['a', 'c: UpstreamError']);
  });

  test('at the rate: a second of it at once, the rest as time goes by', async () => {
    const { clock, take, order } = slotsWith({ count: 100, rate: 10 });
    for (let turn = 1; turn <= 30; turn++) take(`a ${turn}`);
    await clock.advance(0);
    expect(order.length).toBe(10);
    await clock.advance(1000);
    expect(order.length).toBe(20);
    await clock.advance(1000);
    expect(order.length).toBe(30);
    await clock.advance(500);
    for (let turn = 1; turn <= 30; turn++) take(`b ${turn}`);
    await clock.advance(0);
    expect(order.length).toBe(35);
  });

  test('who would wait too long for the rate is turned away at once and told when to come back', async () => {
    const { clock, slots, take, order } = slotsWith({ count: 100, rate: 1 });
    for (let turn = 1; turn <= 6; turn++) take(`a ${turn}`);
    await expect(slots.take({ lane: 'a', small: false }, never)).rejects.toThrow(TurnedAway);
    await expect(slots.take({ lane: 'a', small: false }, never)).rejects.toMatchObject({ retryAfterSeconds: 6 });
    take('b 1');
    await clock.advance(2000);
    expect(order).toEqual(['a 1', 'a 2', 'b 1']);
  });

  test('less than one a second is a rate too', async () => {
    const { clock, take, order } = slotsWith({ count: 100, rate: 0.5 });
    take('a 1');
    take('a 2');
    await clock.advance(1999);
    expect(order).toEqual(['a 1']);
    await clock.advance(1);
    expect(order).toEqual(['a 1', 'a 2']);
  });
});
