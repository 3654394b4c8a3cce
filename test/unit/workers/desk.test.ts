import { describe, expect, test } from 'vitest';
import type { OpenQuestion } from '../../../src/admission/questions.ts';
import { createAllWorkers } from '../../../src/compose/all-workers.ts';
import { atTheDesk } from '../../../src/compose/at-the-desk.ts';
import { createDesk } from '../../../src/compose/desk.ts';
import { createTroubles } from '../../../src/compose/troubles.ts';
import { createRecent } from '../../../src/admin/recent.ts';
import type { Admin } from '../../../src/admin/admin.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { workersScene, type WorkersScene } from './scene.ts';

const never = new AbortController().signal;

/** Two workers that have their counting done by one desk. */
async function office(): Promise<{ scene: WorkersScene; at: (worker: number) => NonNullable<ReturnType<typeof atTheDesk>> }> {
  const clock = createFakeClock();
  const desk = createDesk(clock);
  const scene = workersScene(2, desk.answers);
  const places = (await scene.begin()).map(({ station }) => atTheDesk(station.siblings)!);
  return {
    scene: {
      ...scene,
      async settled() {
        for (; scene.left.length > 0; scene.left.shift()) desk.left(scene.left[0]!);
        await scene.settled();
      },
    },
    at: (worker) => places[worker - 1]!,
  };
}

describe('what is limited', () => {
  test('is so for all workers together: how often', async () => {
    const { at } = await office();
    const rate = { perSecond: 0.001, burst: 3 };
    const taken = [];
    for (const worker of [1, 2, 1, 2]) taken.push((await at(worker).counting.take('address', '10.0.0.1', rate, 1000)).taken);
    expect(taken).toEqual([true, true, true, false]);
    expect((await at(1).counting.take('account', '10.0.0.1', rate, 1000)).taken).toBe(true);
  });

  test('how many at once; what a worker had that died is given back', async () => {
    const { scene, at } = await office();
    const place = (worker: number) => at(worker).counting.place('address', '10.0.0.1', 2, 0, never);
    const [first] = [await place(1), await place(2)];
    expect(await place(2)).toBeUndefined();
    first!();
    await scene.settled();
    expect(await place(2)).toBeDefined();
    expect(await place(1)).toBeUndefined();
    scene.started[1]!.end();
    await scene.settled();
    expect([await place(1), await place(1), await place(1)].map((leave) => leave !== undefined)).toEqual([true, true, false]);
  });

  test('whoever waits and leaves takes nothing', async () => {
    const { scene, at } = await office();
    const held = await at(1).counting.place('address', '10.0.0.1', 1, 0, never);
    const leaving = new AbortController();
    const waiting = at(2).counting.place('address', '10.0.0.1', 1, 1000, leaving.signal);
    await scene.settled();
    leaving.abort();
    expect(await waiting).toBeUndefined();
    held!();
    await scene.settled();
    expect(await at(2).counting.place('address', '10.0.0.1', 1, 0, never)).toBeDefined();
  });

  test('wrong passwords: a guesser has no more guesses for there being more workers', async () => {
    const { scene, at } = await office();
    const guess = async (worker: number): Promise<void> => {
      const attempt = await at(worker).attempts('recognition').begin('ann', '10.0.0.1');
      attempt.end('wrong');
      await scene.settled();
    };
    await guess(1);
    await expect(guess(2)).rejects.toMatchObject({ status: 429, headers: { 'Retry-After': '1' } });
    // What is said elsewhere is counted apart.
    await at(2).attempts('sign-in').begin('ann', '10.0.0.1');
  });

  test('an attempt of a worker that died keeps nobody waiting', async () => {
    const { scene, at } = await office();
    await at(1).attempts('sign-in').begin('ann', '10.0.0.1');
    const next = at(2).attempts('sign-in').begin('ann', '10.0.0.1');
    scene.started[0]!.end();
    await scene.settled();
    expect(await next).toMatchObject({ isKnown: false });
  });
});

test('trouble of one is told by all, also by one that began later, and ends with it', async () => {
  const scene = workersScene(2);
  const [one, two] = await scene.begin();
  const [here, there] = [createTroubles(one!.station.siblings), createTroubles(two!.station.siblings)];
  here.tell(['storage']);
  await scene.settled();
  expect([here.elsewhere(), there.elsewhere()]).toEqual([[], ['storage']]);
  two!.end();
  await scene.settled();
  const later = createTroubles(scene.started[2]!.station.siblings);
  await scene.settled();
  expect(later.elsewhere()).toEqual(['storage']);
  scene.started[2]!.serve();
  await scene.settled();
  here.tell([]);
  await scene.settled();
  expect(later.elsewhere()).toEqual([]);
  here.tell(['metadata']);
  await scene.settled();
  one!.end();
  await scene.settled();
  expect(later.elsewhere()).toEqual([]);
});

test('who watches requests at one worker sees those of all, and nobody passes them on for ever', async () => {
  const scene = workersScene(2);
  const [one, two] = await scene.begin();
  const admin = { tail: () => undefined } as unknown as Admin;
  const recents = [createRecent(scene.clock), createRecent(scene.clock)];
  const whole = [one, two].map((worker, at) =>
    createAllWorkers({
      siblings: worker!.station.siblings,
      recent: recents[at]!,
      metrics: createMetrics({ version: '1', processMetrics: false }),
      clock: scene.clock,
    }).admin(admin),
  );
  const end = new AbortController();
  const lines = whole[0]!.tail(end.signal)[Symbol.asyncIterator]();
  await scene.settled();
  recents[1]!.heard('somebody pulled');
  expect(await lines.next()).toMatchObject({ value: 'somebody pulled' });
  await scene.clock.advance(60_000);
  recents[1]!.heard('somebody else did');
  expect(await lines.next()).toMatchObject({ value: 'somebody else did' });
  end.abort();
  await scene.clock.advance(60_000);
  expect(scene.clock.pending()).toBe(0);
});

test('a question that one asks is known to all before it is sent, and forgotten with who asked it', async () => {
  const { Questions } = await import('../../../src/admission/questions.ts');
  const { createSeededRandom } = await import('../../fakes/seeded-random.ts');
  const heard: OpenQuestion[] = [];
  let closed: string | undefined;
  const asking = new Questions(createSeededRandom(1), {
    opened: async (question) => void heard.push(question),
    closed: (nonce) => void (closed = nonce),
  });
  const answering = new Questions(createSeededRandom(2));
  const digest = `sha256:${'a'.repeat(64)}` as never;
  const question = asking.open('docker.io/library/alpine', [digest]);
  await question.known;
  answering.hear(heard[0]!, 1);
  expect(answering.allows(question.nonce, 'docker.io/library/alpine', digest)).toBe(true);
  expect(answering.allows(question.nonce, 'docker.io/library/debian', digest)).toBe(false);
  expect(asking.own()).toEqual(heard);
  answering.forgetAllOf(2);
  expect(answering.allows(question.nonce, 'docker.io/library/alpine', digest)).toBe(true);
  answering.forgetAllOf(1);
  expect(answering.allows(question.nonce, 'docker.io/library/alpine', digest)).toBe(false);
  question.close();
  expect([closed, asking.own()]).toEqual([question.nonce, []]);
});
