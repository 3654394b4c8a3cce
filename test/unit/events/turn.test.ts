import { describe, expect, test } from 'vitest';
import { Turn, TURN_MS } from '../../../src/events/turn.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { change, createReceiver, startProcess, until } from './scene.ts';

const STEP_MS = 2_000;

function scene() {
  const store = createMemoryMetadata();
  const clock = createFakeClock();
  const { outbox } = createRecords(store, { clock });
  const turnOf = (holder: string, isDead: (holder: string) => boolean = () => false): Turn =>
    new Turn({ endpoint: 'ci', outbox, clock, holder, isDead, stepMs: STEP_MS });
  return { store, clock, outbox, turnOf };
}

describe('the turn', () => {
  test('is kept by whoever goes on, however long, at one write in a while', async () => {
    const { store, clock, turnOf } = scene();
    const [one, two] = [turnOf('one'), turnOf('two')];
    let writes = 0;
    store.beforeCommit(() => void writes++);
    for (let passed = 0; passed < 120_000; passed += STEP_MS) {
      expect(await one.hold()).toBe(true);
      expect(await two.hold()).toBe(false);
      await clock.advance(STEP_MS);
    }
    expect(writes).toBeLessThan(25);
  });

  test('goes on when the one who had it is silent, and is not taken back', async () => {
    const { clock, turnOf } = scene();
    const [one, two] = [turnOf('one'), turnOf('two')];
    expect(await one.hold()).toBe(true);
    await clock.advance(TURN_MS);
    expect(await two.hold()).toBe(false);
    await clock.advance(STEP_MS);
    expect(await two.hold()).toBe(true);
    expect(await one.hold()).toBe(false);
  });

  test('goes on at once when it is known to be dead, or drops it', async () => {
    const { turnOf } = scene();
    const [one, two, three] = [turnOf('one'), turnOf('two', (holder) => holder === 'one'), turnOf('three')];
    expect(await one.hold()).toBe(true);
    expect(await two.hold()).toBe(true);
    expect(await three.hold()).toBe(false);
    await two.drop();
    expect(await three.hold()).toBe(true);
  });

  test('is neither lost nor prolonged by a wall clock that jumps', async () => {
    const { clock, turnOf } = scene();
    const one = turnOf('one');
    expect(await one.hold()).toBe(true);
    clock.jump(-3_600_000);
    expect(await one.hold()).toBe(true);
    clock.jump(7_200_000);
    expect(await one.hold()).toBe(true);
  });
});

test('a delivery that stops gives its turn to another at once', async () => {
  const store = createMemoryMetadata();
  const clock = createFakeClock();
  const receiver = createReceiver();
  const one = startProcess(store, clock, receiver.send, { holder: 'one' });
  await until(clock, async () => (await one.records.outbox.lease('ci')) !== undefined);
  const stopping = one.notifications.stop();
  await clock.advance(10);
  await stopping;
  const two = startProcess(store, clock, receiver.send, { holder: 'two' });
  await two.notifications.notify(change('1'));
  const from = clock.monotonic();
  await until(clock, () => receiver.told.length === 1);
  expect(clock.monotonic() - from).toBeLessThan(2_000);
});
