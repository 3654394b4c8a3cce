import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import type { MetricShare } from '../../../src/workers/counted.ts';
import { counter, workersScene } from './scene.ts';

describe('starting', () => {
  test('the first alone, then all others; who serves first has the duties', async () => {
    const scene = workersScene(3);
    const starting = scene.primary.start();
    await scene.settled();
    expect(scene.started.map(({ order }) => order)).toEqual([{ worker: 1, count: 3, order: 'first' }]);
    const duties: number[] = [];
    scene.started[0]!.station.siblings.onDuty(() => duties.push(1));
    scene.started[0]!.serve();
    await scene.settled();
    expect(scene.started.map(({ order }) => order.worker)).toEqual([1, 2, 3]);
    scene.started[1]!.station.siblings.onDuty(() => duties.push(2));
    scene.started[2]!.serve();
    scene.started[1]!.serve();
    expect(await starting).toEqual({ main: '127.0.0.1:5000' });
    expect(duties).toEqual([1]);
    expect(scene.primary.status().map(({ worker, state, onDuty }) => [worker, state, onDuty])).toEqual([
      [1, 'serving', true],
      [2, 'serving', false],
      [3, 'serving', false],
    ]);
  });

  test('what keeps the first from it is told in its own words, and nobody else is started', async () => {
    const scene = workersScene(2);
    const starting = scene.primary.start();
    await scene.settled();
    await scene.started[0]!.station.fault('127.0.0.1:5000 is taken');
    scene.started[0]!.end(1);
    await expect(starting).rejects.toThrow(/^127\.0\.0\.1:5000 is taken$/);
    await scene.clock.advance(60_000);
    expect(scene.started).toHaveLength(1);
    expect(scene.events).toEqual([]);
  });

  test('where the others cannot, all end', async () => {
    const scene = workersScene(2);
    const starting = scene.primary.start();
    const failure = starting.catch((error: unknown) => error);
    await scene.settled();
    scene.started[0]!.serve();
    await scene.settled();
    for (let at = 1; at <= 7; at += 1) {
      await scene.started[at]!.station.fault('no memory');
      scene.started[at]!.end(1);
      await scene.clock.advance(9000);
    }
    scene.started[0]!.end(0);
    expect(String(await failure)).toMatch(/again and again: no memory$/);
    expect(scene.started[0]!.obeyed).toEqual(['drain']);
    expect(scene.started).toHaveLength(8);
  });
});

describe('a worker that ends', () => {
  test('is replaced at once, and its duties are another’s', async () => {
    const scene = workersScene(2);
    const [one, two] = await scene.begin();
    let begun = 0;
    two!.station.siblings.onDuty(() => (begun += 1));
    const ended: number[] = [];
    two!.station.siblings.onEnd((worker) => ended.push(worker));
    one!.end('SIGKILL');
    await scene.settled();
    expect(scene.started.map(({ order }) => order.worker)).toEqual([1, 2, 1]);
    expect([begun, ended, scene.left]).toEqual([1, [1], [1]]);
    scene.started[2]!.serve();
    await scene.settled();
    expect(begun).toBe(1);
    expect(scene.primary.restarted()).toBe(1);
    expect(scene.events).toEqual([
      { kind: 'worker-ended', worker: 1, pid: 1000, how: 'SIGKILL', leaving: false, fault: undefined, pauseMs: 0 },
      { kind: 'worker-started', worker: 1, pid: 1002 },
    ]);
  });

  test('again and again is replaced ever later, and then no more', { timeout: 10_000 }, async () => {
    const scene = workersScene(2);
    await scene.begin();
    let reason: string | undefined;
    void scene.primary.failed.then((why) => (reason = why));
    const pauses: (number | undefined)[] = [];
    for (let times = 0; reason === undefined && times < 20; times += 1) {
      scene.started.at(-1)!.end('SIGSEGV');
      await scene.settled();
      const last = scene.events.findLast(({ kind }) => kind === 'worker-ended') as { pauseMs: number | undefined };
      pauses.push(last.pauseMs);
      await scene.clock.advance(last.pauseMs ?? 60_000);
    }
    expect(pauses).toEqual([0, 500, 1000, 2000, 4000, 8000, undefined]);
    expect(reason).toBe('the last was ended by SIGSEGV');
    expect(scene.started).toHaveLength(2 + 6);
  });

  test('now and then is replaced for ever', async () => {
    const scene = workersScene(2);
    await scene.begin();
    for (let times = 0; times < 20; times += 1) {
      scene.started.at(-1)!.end('SIGSEGV');
      await scene.clock.advance(121_000);
    }
    expect(scene.started).toHaveLength(22);
  });

  test('because it was told to counts for nothing', async () => {
    const scene = workersScene(2);
    await scene.begin();
    for (let times = 0; times < 20; times += 1) {
      const last = scene.started.at(-1)!;
      last.station.leaving();
      await scene.settled();
      last.end(0);
      await scene.settled();
      scene.started.at(-1)!.serve();
      await scene.settled();
    }
    expect(scene.started).toHaveLength(22);
    expect(scene.primary.restarted()).toBe(0);
    expect(scene.events.filter((event) => event.kind === 'worker-ended' && !event.leaving)).toEqual([]);
  });

  test('behind what it answers hands its duties on at once', async () => {
    const scene = workersScene(2);
    const [one, two] = await scene.begin();
    let begun = 0;
    two!.station.siblings.onDuty(() => (begun += 1));
    one!.station.leaving();
    await scene.settled();
    expect(begun).toBe(1);
    one!.end(0);
    await scene.settled();
    expect(begun).toBe(1);
  });

  test('is not replaced once all are to end', async () => {
    const scene = workersScene(2);
    const [one, two] = await scene.begin();
    one!.end('SIGKILL');
    await scene.settled();
    const draining = scene.primary.drain();
    await scene.settled();
    // One that is about to serve has nothing to end.
    expect(scene.started[2]!.killed).toBe(true);
    expect(two!.obeyed).toEqual(['drain']);
    two!.end(0);
    await draining;
    await scene.clock.advance(60_000);
    expect(scene.started).toHaveLength(3);
  });
});

describe('a configuration', () => {
  test('is taken when all are ready for it', async () => {
    const scene = workersScene(2);
    const workers = await scene.begin();
    expect(await scene.primary.reload('second')).toEqual(['http.addr']);
    for (const { obeyed } of workers) expect(obeyed).toEqual(['prepare second', 'commit']);
    workers[0]!.end();
    await scene.settled();
    expect(scene.started[2]!.order.order).toBe('second');
  });

  test('that one cannot take is taken by none', async () => {
    const scene = workersScene(2);
    const starting = scene.primary.start();
    await scene.settled();
    scene.started[0]!.serve();
    await scene.settled();
    scene.started[1]!.serve({ prepare: () => Promise.reject(new Error('no such certificate')) });
    await starting;
    await expect(scene.primary.reload('second')).rejects.toThrow('no such certificate');
    await scene.settled();
    expect(scene.started[0]!.obeyed).toEqual(['prepare second', 'abandon']);
    scene.started[0]!.end();
    await scene.settled();
    expect(scene.started[2]!.order.order).toBe('first');
  });

  test('is taken by the others where one dies over it', async () => {
    const scene = workersScene(2);
    const starting = scene.primary.start();
    await scene.settled();
    scene.started[0]!.serve();
    await scene.settled();
    scene.started[1]!.serve({ prepare: async () => scene.started[1]!.end() });
    await starting;
    expect(await scene.primary.reload('second')).toEqual(['http.addr']);
    await scene.settled();
    expect(scene.started[2]!.order.order).toBe('second');
  });

  test('who has said yes and cannot is ended: its successor takes it', async () => {
    const scene = workersScene(2);
    const starting = scene.primary.start();
    await scene.settled();
    scene.started[0]!.serve();
    await scene.settled();
    scene.started[1]!.serve({ commit: () => Promise.reject(new Error('cannot')) });
    await starting;
    expect(await scene.primary.reload('second')).toEqual(['http.addr']);
    expect(scene.started[1]!.killed).toBe(true);
  });

  test('waits for who is about to serve by the former one', async () => {
    const scene = workersScene(2);
    const [one] = await scene.begin();
    one!.end();
    await scene.settled();
    let taken = false;
    const reloading = scene.primary.reload('second').then(() => (taken = true));
    await scene.settled();
    expect([taken, scene.started[1]!.obeyed]).toEqual([false, []]);
    scene.started[2]!.serve();
    await reloading;
    expect(scene.started[2]!.obeyed).toEqual(['prepare second', 'commit']);
  });
});

describe('what workers ask of each other', () => {
  test(
    'is answered by all others, whoever has the duties first, and by nobody for those who are silent',
    { timeout: 10_000 },
    async () => {
      const scene = workersScene(3);
      const [one, two, three] = await scene.begin();
      one!.station.siblings.answer('name', () => 'one');
      two!.station.siblings.answer('name', () => new Promise(() => undefined));
      const asked = three!.station.siblings.gather('name');
      await scene.clock.advance(5000);
      expect(await asked).toEqual(['one']);
      two!.station.siblings.answer('name', () => 'two');
      expect(await three!.station.siblings.gather('name')).toEqual(['one', 'two']);
      expect(await one!.station.siblings.gather('nobody knows')).toEqual([]);
    },
  );

  test('is no answer of one that dies', async () => {
    const scene = workersScene(2);
    const [one, two] = await scene.begin();
    two!.station.siblings.answer('name', () => new Promise(() => undefined));
    const asked = one!.station.siblings.gather('name');
    await scene.settled();
    two!.end();
    expect(await asked).toEqual([]);
  });

  test('of the primary is answered with who asks, and refusals arrive as they are', async () => {
    const scene = workersScene(2, {
      whoami: (_params: unknown, worker: number) => worker,
      refuse: () => {
        throw new RegistryError('TOOMANYREQUESTS', 'later', { headers: { 'retry-after': '7' } });
      },
    });
    const [, two] = await scene.begin();
    expect(await two!.station.siblings.ask('whoami')).toBe(2);
    const refusal = await two!.station.siblings.ask('refuse').catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(RegistryError);
    expect(refusal).toMatchObject({ status: 429, message: 'later', headers: { 'retry-after': '7' } });
    expect(await two!.station.siblings.ask('workers')).toMatchObject({
      restarted: 0,
      dropped: 3,
      workers: [{ pid: 1000 }, { pid: 1001 }],
    });
  });

  test('of a primary that has ended is refused, and nobody waits', async () => {
    const scene = workersScene(2);
    const [one] = await scene.begin();
    let orphaned = false;
    void one!.station.orphaned.then(() => (orphaned = true));
    const asked = one!.station.siblings.ask('workers');
    one!.end();
    await expect(asked).rejects.toThrow('has ended');
    await expect(one!.station.siblings.ask('workers')).rejects.toThrow('has ended');
    expect(await one!.station.siblings.gather('name')).toEqual([]);
    expect(orphaned).toBe(true);
  });
});

describe('metrics', () => {
  const total = (shares: unknown): number =>
    (shares as readonly (readonly MetricShare[])[]).flat().reduce((sum, { values }) => sum + values[0]!.value, 0);

  test(
    'of those that have ended stay counted, and of those that are silent what they last told',
    { timeout: 10_000 },
    async () => {
      const scene = workersScene(2);
      const [one, two] = await scene.begin();
      two!.station.siblings.answer('metrics', () => [counter('pulls', 5)]);
      expect(total(await one!.station.siblings.ask('metrics', [counter('pulls', 2)]))).toBe(7);
      two!.station.siblings.answer('metrics', () => new Promise(() => undefined));
      const late = one!.station.siblings.ask('metrics', [counter('pulls', 3)]);
      await scene.clock.advance(5000);
      expect(total(await late)).toBe(8);
      two!.end();
      await scene.settled();
      scene.started[2]!.station.siblings.answer('metrics', () => [counter('pulls', 1)]);
      scene.started[2]!.serve();
      await scene.settled();
      expect(total(await one!.station.siblings.ask('metrics', [counter('pulls', 3)]))).toBe(9);
      one!.end();
      await scene.settled();
      expect(total(await scene.started[2]!.station.siblings.ask('metrics', [counter('pulls', 1)]))).toBe(9);
    },
  );

  test('of who has the duties come first: it knows best what all share', async () => {
    const scene = workersScene(2);
    const [one, two] = await scene.begin();
    one!.station.siblings.answer('metrics', () => [counter('of one', 1)]);
    const shares = (await two!.station.siblings.ask('metrics', [counter('of two', 2)])) as MetricShare[][];
    expect(shares.map((share) => share[0]?.name)).toEqual(['of one', 'of two', undefined, undefined]);
  });
});

test('what workers write comes out in whole lines', async () => {
  const scene = workersScene(2);
  const [one, two] = await scene.begin();
  one!.write('{"a":');
  two!.write('{"b":2}\n{"c":');
  one!.write('1}\n');
  two!.write('3');
  two!.write('}\n');
  expect(scene.written).toEqual(['{"b":2}\n', '{"a":1}\n', '{"c":3}\n']);
});
