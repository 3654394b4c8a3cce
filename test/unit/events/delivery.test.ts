import { describe, expect, onTestFinished, test } from 'vitest';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { change, createReceiver, endpoint, pass, startProcess, until } from './scene.ts';

function scene(more: Parameters<typeof startProcess>[3] = {}) {
  const clock = createFakeClock();
  const store = createMemoryMetadata();
  const receiver = createReceiver();
  const process = startProcess(store, clock, receiver.send, more);
  // What still waits is not told any more, turn by turn of the event loop, beside the tests that come after.
  onTestFinished(async () => {
    const stopped = process.notifications.stop();
    await clock.advance(3_000);
    await stopped;
  });
  return { clock, store, receiver, ...process };
}

describe('a delivery', () => {
  test('after so many failures in a row the receiver is left alone for its backoff, before each further try', async () => {
    const { clock, receiver, notifications } = scene();
    receiver.answers(() => 500);
    await notifications.notify(change('1'));
    await pass(clock, 1_000);
    expect(receiver.requests).toHaveLength(3);
    await pass(clock, 3_500);
    expect(receiver.requests).toHaveLength(3);
    await pass(clock, 1_000);
    expect(receiver.requests).toHaveLength(4);
    // What is queued meanwhile wakes nobody up.
    await notifications.notify(change('2'));
    await pass(clock, 3_500);
    expect(receiver.requests).toHaveLength(4);
    receiver.answers(() => 200);
    await until(clock, () => receiver.told.length === 2);
    // One success begins anew.
    receiver.answers(() => 500);
    const before = receiver.requests.length;
    await notifications.notify(change('3'));
    await pass(clock, 1_000);
    expect(receiver.requests.length - before).toBe(3);
  });

  test.each([199, 301, 302, 304, 400, 404, 500])('%i does not accept', async (status) => {
    const { clock, receiver, notifications, count } = scene();
    receiver.answers(() => status);
    await notifications.notify(change('1'));
    await pass(clock, 100);
    expect(await notifications.pending()).toEqual(new Map([['ci', 1]]));
    expect(count('notification-answered')).toBeGreaterThan(0);
  });

  test('an answer that does not come in time is none', async () => {
    const { clock, receiver, notifications, reported } = scene();
    receiver.answers(() => new Promise(() => undefined));
    await notifications.notify(change('1'));
    await pass(clock, 750);
    expect(reported.filter(({ kind }) => kind === 'notification-unanswered')).toEqual([]);
    await pass(clock, 500);
    expect(reported.filter(({ kind }) => kind === 'notification-unanswered')).toHaveLength(1);
  });

  test('another receiver is told while one is down', async () => {
    const { clock, receiver, notifications } = scene({
      endpoints: [endpoint(), endpoint({ name: 'up', url: 'http://up.test/' })],
    });
    receiver.answers(() => (receiver.requests.at(-1)?.url === 'http://up.test/' ? 200 : 500));
    for (const tag of ['1', '2', '3']) await notifications.notify(change(tag));
    await until(clock, () => receiver.told.length === 3);
    expect(await notifications.pending()).toEqual(
      new Map([
        ['ci', 3],
        ['up', 0],
      ]),
    );
  });

  test('what was accepted is not told again because the store cannot be written for a while', async () => {
    const { clock, store, receiver, notifications } = scene();
    receiver.answers(() => {
      store.beforeCommit(() => {
        throw new Error('the disk is full');
      });
      return 200;
    });
    await notifications.notify(change('1'));
    await until(clock, () => receiver.told.length === 1);
    await pass(clock, 5_000);
    store.beforeCommit(undefined);
    await until(clock, async () => (await notifications.pending()).get('ci') === 0);
    expect(receiver.requests).toHaveLength(1);
  });

  test('what is ignored is not queued', async () => {
    const { clock, receiver, notifications } = scene({
      endpoints: [
        endpoint({ ignoredMediaTypes: new Set(['application/octet-stream']), ignoredActions: new Set(['pull', 'mount']) }),
      ],
    });
    await notifications.notify(change('a', { action: 'pull' }));
    await notifications.notify(change('b', { action: 'mount' }));
    await notifications.notify(change('c', { mediaType: 'application/octet-stream' }));
    expect(await notifications.pending()).toEqual(new Map([['ci', 0]]));
    await notifications.notify(change('d', { action: 'delete' }));
    await until(clock, () => receiver.told.length === 1);
    expect(receiver.tags()).toEqual(['d']);
  });

  test('stopping ends it, and no timer is left', async () => {
    const { clock, receiver, notifications } = scene();
    receiver.answers(() => new Promise(() => undefined));
    await notifications.notify(change('1'));
    await clock.advance(10);
    const stopping = notifications.stop();
    await clock.advance(3_000);
    await stopping;
    expect(clock.pending()).toBe(0);
  });
});

describe('queueing', () => {
  test('a push is durable before it is acknowledged, and refused where it cannot be', async () => {
    const { store, receiver, notifications, clock } = scene();
    receiver.answers(() => 500);
    await notifications.notify(change('1'));
    store.crash();
    expect(await notifications.pending()).toEqual(new Map([['ci', 1]]));
    store.setDown(true);
    await expect(notifications.notify(change('2'))).rejects.toThrow('switched off');
    store.setDown(false);
    receiver.answers(() => 200);
    await until(clock, () => receiver.told.length === 1);
  });

  test('pulls wait in memory while the store is down, within bounds, and nobody waits for them', async () => {
    const { clock, store, receiver, notifications, reported } = scene();
    store.setDown(true);
    for (let at = 0; at < 10_050; at++) expect(notifications.notify(change(`${at}`, { action: 'pull' }))).toBeUndefined();
    await pass(clock, 2_000);
    const dropped = reported.reduce((sum, event) => sum + (event.kind === 'notifications-dropped' ? event.count : 0), 0);
    expect(dropped).toBe(50);
    receiver.answers(() => new Promise((resolve) => setImmediate(() => resolve(200))));
    store.setDown(false);
    await until(clock, () => receiver.told.length > 0, 1_000);
    expect(receiver.tags()[0]).toBe('50');
  });

  test('where too many wait the oldest are dropped, and it is said', async () => {
    const { clock, receiver, notifications, reported } = scene({ eventsMax: 5 });
    receiver.answers(() => 500);
    for (let at = 0; at < 8; at++) await notifications.notify(change(`${at}`));
    expect(reported.filter(({ kind }) => kind === 'notifications-dropped')).toHaveLength(3);
    receiver.answers(() => 200);
    await until(clock, () => receiver.told.length === 5);
    expect(receiver.tags()).toEqual(['3', '4', '5', '6', '7']);
  });
});
