import { describe, expect, test } from 'vitest';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { makeLmdb } from '../../conformance/metadata-makers.ts';
import type { MetadataStore } from '../../../src/metadata/metadata-store.ts';
import { change, createReceiver, endpoint, pass, startProcess, until } from './scene.ts';

interface Stores {
  readonly store: MetadataStore;
  /** The store as a process that starts after a `kill -9` and a power loss finds it. */
  restarted(): MetadataStore;
  clean(): Promise<void>;
}

const STORES: readonly (readonly [string, () => Promise<Stores>])[] = [
  [
    'memory',
    async () => {
      const store = createMemoryMetadata({ async: true });
      const restarted = (): MetadataStore => (store.crash(), store);
      return { store, restarted, clean: async () => undefined };
    },
  ],
  [
    'lmdb',
    async () => {
      const { store, other, clean } = await makeLmdb();
      return { store, restarted: () => other, clean };
    },
  ],
];

const REPOSITORIES = ['team/app', 'team/web', 'other/app'];
const names = (count: number, from = 0): string[] => Array.from({ length: count }, (_, at) => `v${from + at}`);

/** One after the other, as one client pushes; each is acknowledged. */
async function pushAll(notify: (tag: string, repository: string) => unknown, tags: readonly string[]): Promise<void> {
  for (const tag of tags) for (const repository of REPOSITORIES) await notify(tag, repository);
}

describe.each(STORES)('over %s', (_name, make) => {
  test('a receiver that is down for ten minutes and then flaps is told everything, in order, across a restart', async () => {
    const stores = await make();
    const receiver = createReceiver();
    const start = (store: MetadataStore, clock: FakeClock, holder: string) => {
      const { notifications } = startProcess(store, clock, receiver.send, { holder, isDead: (whose) => whose !== holder });
      const push = (tag: string, repository: string) =>
        notifications.notify(change(tag, { repository, holder: `registry.test/${repository}` }));
      return { notifications, push };
    };
    const hang = (): Promise<number> => new Promise(() => undefined);
    const refuse = (): Promise<number> => Promise.reject(new Error('connect ECONNREFUSED'));

    // Down: it refuses, answers badly, redirects, or never answers.
    const downs = [refuse, () => 503, () => 302, hang];
    let asked = 0;
    receiver.answers(() => downs[asked++ % downs.length]?.() ?? 503);
    const firstClock = createFakeClock();
    const first = start(stores.store, firstClock, 'host 1 a');
    await pushAll(first.push, names(10));
    await pass(firstClock, 5 * 60_000);
    expect(asked).toBeGreaterThan(20);
    // Its clock stands still from here on: it is dead, without a word.
    const clock = createFakeClock(firstClock.now());
    const second = start(stores.restarted(), clock, 'host 2 b');
    await pushAll(second.push, names(10, 10));
    await pass(clock, 5 * 60_000);
    expect(receiver.told).toEqual([]);

    // Flaps: up for two, down for three.
    asked = 0;
    receiver.answers(() => (asked++ % 5 < 2 ? 200 : (downs[asked % downs.length]?.() ?? 503)));
    await pushAll(second.push, names(5, 20));
    await until(clock, async () => (await second.notifications.pending()).get('ci') === 0);
    for (const repository of REPOSITORIES) expect(receiver.tags(repository)).toEqual(names(25));
    expect(new Set(receiver.told.map(({ id }) => id)).size).toBe(25 * REPOSITORIES.length);

    const stopping = second.notifications.stop();
    await clock.advance(10_000);
    await stopping;
    await stores.clean();
  });

  test('an event that was accepted as the process died is told again, and before those after it', async () => {
    const stores = await make();
    const receiver = createReceiver();
    const firstClock = createFakeClock();
    const first = startProcess(stores.store, firstClock, receiver.send, { holder: 'host 1 a' });
    // Accepted, but its answer never comes to the process.
    receiver.answers(() => {
      receiver.told.push({ id: 'lost', action: 'push', timestamp: '', target: { tag: 'v0', repository: 'team/app' } });
      return new Promise(() => undefined);
    });
    await first.notifications.notify(change('v0'));
    await first.notifications.notify(change('v1'));
    await until(firstClock, () => receiver.told.length > 0);
    receiver.answers(() => 200);
    const clock = createFakeClock(firstClock.now());
    const second = startProcess(stores.restarted(), clock, receiver.send, { holder: 'host 2 b', isDead: () => true });
    await until(clock, () => receiver.told.length === 3);
    expect(receiver.tags()).toEqual(['v0', 'v0', 'v1']);
    const stopping = second.notifications.stop();
    await clock.advance(10_000);
    await stopping;
    await stores.clean();
  });

  test('of two processes one delivers; the other takes over from a dead one, and at once from one that stops', async () => {
    const stores = await make();
    const receiver = createReceiver();
    const by: string[] = [];
    const now = createFakeClock().now();
    const clocks = [createFakeClock(now + 3_600_000), createFakeClock(now)] as const;
    const [one, two] = clocks.map((clock, at) =>
      startProcess(
        stores.store,
        clock,
        async (...args) => {
          by.push(at === 0 ? 'one' : 'two');
          return receiver.send(...args);
        },
        { holder: `host ${at} x`, endpoints: [endpoint()] },
      ),
    );
    const both = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 500) for (const clock of clocks) await pass(clock, 500);
    };
    const toldAll = async (count: number): Promise<void> => {
      while (receiver.told.length < count) await both(500);
    };
    await until(clocks[0], async () => (await one?.records.outbox.lease('ci')) !== undefined);
    for (const tag of names(10)) await (Number(tag.slice(1)) % 2 === 0 ? one : two)?.notifications.notify(change(tag));
    await toldAll(10);
    await both(60_000);
    expect(receiver.tags()).toEqual(names(10));
    expect(new Set(by)).toEqual(new Set(['one']));

    // The first one's clock stands still: it is dead, and nobody has seen it die. Its wall clock was an hour ahead.
    await until(clocks[0], () => true);
    await two?.notifications.notify(change('v10'));
    const from = clocks[1].monotonic();
    await until(clocks[1], () => receiver.told.length === 11);
    expect(clocks[1].monotonic() - from).toBeLessThan(40_000);
    expect(by.at(-1)).toBe('two');

    const three = startProcess(stores.store, clocks[0], receiver.send, { holder: 'host 3 x' });
    const stopping = two?.notifications.stop();
    await clocks[1].advance(5_000);
    await stopping;
    await three.notifications.notify(change('v11'));
    await until(clocks[0], () => receiver.told.length === 12);
    const stoppingThree = three.notifications.stop();
    await clocks[0].advance(5_000);
    await stoppingThree;
    await stores.clean();
  });
});
