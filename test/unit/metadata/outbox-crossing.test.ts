import { expect, test } from 'vitest';
import { createRecords } from '../../../src/metadata/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';

const APP = 'registry.test/team/app';
const entry = (event: string) => ({ receiver: 'ci', repository: APP, event });

function scene() {
  const store = createMemoryMetadata();
  const { outbox } = createRecords(store, { clock: createFakeClock() });
  /** Does `act` once, right before or after the first commit to that slot. */
  const around = (slot: string, act: () => Promise<unknown>): void =>
    store.beforeCommit(async (at) => {
      if (!at.startsWith(slot)) return;
      store.beforeCommit(undefined);
      await act();
    });
  return { store, outbox, around };
}

test('a place that is found to lead nowhere before its event is written is taken again', async () => {
  const { outbox, around } = scene();
  around('repository/', async () => {
    const head = await outbox.head('ci');
    expect(head?.event).toBeUndefined();
    if (head !== undefined) await outbox.remove('ci', head);
  });
  await outbox.append([entry('1')], 10);
  expect((await outbox.head('ci'))?.event?.text).toBe('1');
});

test('an event that is written while its place is given up for leading nowhere has a place again', async () => {
  const { outbox, around, store } = scene();
  let written: () => void = () => undefined;
  const writing = new Promise<void>((resolve) => (written = resolve));
  let early: Promise<unknown> = Promise.resolve();
  // The taker has looked; the writer writes and looks for its place; then alone the taker gives the place up.
  around('repository/', async () => {
    const head = await outbox.head('ci');
    store.beforeCommit(async (slot) => {
      if (!slot.startsWith('receiver/')) return;
      store.beforeCommit(undefined);
      await writing;
    });
    if (head !== undefined) early = outbox.remove('ci', head);
  });
  await outbox.append([entry('1')], 10);
  written();
  await early;
  expect((await outbox.head('ci'))?.event?.text).toBe('1');
});

test('a writer that died between the place and the event leaves nothing that keeps others from being told', async () => {
  const { outbox, store } = scene();
  await outbox.append([entry('1')], 10);
  let commits = 0;
  store.beforeCommit(() => {
    if (++commits === 2) throw new Error('kill -9');
  });
  await expect(outbox.append([entry('2')], 10)).rejects.toThrow('kill -9');
  store.beforeCommit(undefined);
  await outbox.append([entry('3')], 10);
  const told: (string | undefined)[] = [];
  for (let head = await outbox.head('ci'); head !== undefined; head = await outbox.head('ci')) {
    told.push(head.event?.text);
    await outbox.remove('ci', head);
  }
  expect(told).toEqual(['1', '3', undefined]);
  expect(store.keys().filter((key) => / (waiting|outbox) /.test(key))).toEqual([]);
});
