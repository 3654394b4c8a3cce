import { describe, expect, test, vi } from 'vitest';
import type { RunningServer, StartOptions } from '../../../src/commands/context.ts';
import { run } from '../../../src/commands/program.ts';
import type { Config } from '../../../src/config/config.ts';
import type { PrimaryChannel, WorkerProcess } from '../../../src/system/worker-processes.ts';
import { channels } from '../workers/scene.ts';
import { CONFIG, scene, type Scene } from './scene.ts';

/** Modules are loaded on the way: that takes as long as it takes. */
const until = (holds: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(holds()).toBe(true), { timeout: 20_000, interval: 5 });

interface Played {
  readonly scene: Scene;
  readonly config: Config;
  readonly options: StartOptions;
  readonly done: string[];
  /** The primary dies. */
  orphan(): void;
  /** Resolves to its exit code. */
  readonly ended: Promise<number>;
}

/** A machine on which a primary serves, whose workers are played by scenes of their own: same program, other files. */
async function serveByWorkers(text: string, processors = 4) {
  const workers: Played[] = [];
  let own = 0;
  let refusal: Error | undefined;
  async function play(channel: PrimaryChannel, end: (how: number) => void): Promise<void> {
    const done: string[] = [];
    const server: RunningServer = {
      addresses: { main: '127.0.0.1:5000' },
      async reload(next, agreed) {
        if (refusal !== undefined) throw refusal;
        await agreed?.();
        done.push(`reload ${next.routes[0]!.name}`);
        return ['http.addr'];
      },
      drain: async () => void done.push('drain'),
      report: () => undefined,
    };
    const place = await scene({
      workers: { primary: () => channel },
      async startServer(config, options) {
        const worker: Played = { scene: place, config, options, done, orphan: () => channel.close(), ended };
        workers.push(worker);
        return server;
      },
    });
    // Whatever stands in the files by now.
    await place.write('/work/config.yml', 'nonsense: true\n');
    const ended = run(['serve'], place.context);
    void ended.then(end);
  }
  const start = (): WorkerProcess => {
    const [near, far, close] = channels();
    const ends: ((how: number) => void)[] = [];
    const end = (how: number): void => {
      close();
      for (const tell of ends) tell(how);
    };
    void play({ ...far, close }, end);
    return { pid: 7, ...near, onOutput: () => undefined, onEnd: (listener) => void ends.push(listener), kill: () => end(9) };
  };
  let held = 0;
  const hold = (): (() => void) => {
    held += 1;
    return () => void (held -= 1);
  };
  const primary = await scene({
    workers: { processors: () => processors, start, hold },
    startServer: async () => {
      own += 1;
      return { addresses: {}, reload: async () => [], drain: async () => undefined, report: () => undefined };
    },
  });
  await primary.write('/work/config.yml', text);
  const ended = run(['serve'], primary.context);
  await until(() => own === 1 || primary.printed().includes('"msg":"listening"'));
  return {
    primary,
    workers,
    own: () => own,
    held: () => held,
    ended,
    refuse: (error: Error | undefined) => void (refusal = error),
  };
}

describe('serving by workers', () => {
  test.each([
    ['', 0],
    ['workers: 1\n', 0],
    ['workers: 3\n', 3],
    ['workers: auto\n', 2],
  ])('%j: the primary serves by itself, or starts so many', async (key, count) => {
    const { primary, workers, own, ended } = await serveByWorkers(`${CONFIG}${key}`, 2);
    expect([workers.length, own()]).toEqual([count, count === 0 ? 1 : 0]);
    expect(workers.map(({ options }) => [options.siblings?.worker, options.siblings?.count])).toEqual(
      Array.from({ length: count }, (_, at) => [at + 1, count]),
    );
    primary.signals.emit('SIGTERM');
    expect(await ended).toBe(0);
    for (const worker of workers) expect([worker.done, await worker.ended]).toEqual([['drain'], 0]);
  });

  test('workers serve by what the primary read, also those that start when the file is another', async () => {
    const { primary, workers, ended } = await serveByWorkers(`${CONFIG}workers: 2\n`);
    for (const { config } of workers) expect(config.routes[0]!.name).toBe('hub');
    workers[0]!.orphan();
    await until(() => primary.printed().includes('"msg":"worker ended"'));
    await primary.clock.advance(1);
    await until(() => primary.printed().includes('"msg":"worker started"'));
    expect(workers).toHaveLength(3);
    expect(workers[2]!.config.routes[0]!.name).toBe('hub');
    primary.signals.emit('SIGTERM');
    await ended;
  });

  test('a reload is taken by all when all can, and by none when one cannot', async () => {
    const { primary, workers, refuse, ended } = await serveByWorkers(`${CONFIG}workers: 2\n`);
    await primary.write('/work/config.yml', `${CONFIG.replace('hub', 'two')}workers: 2\n`);
    primary.signals.emit('SIGHUP');
    await until(() => primary.printed().includes('"msg":"reloaded"'));
    for (const { done } of workers) expect(done).toEqual(['reload two']);
    refuse(new Error('no such certificate'));
    await primary.write('/work/config.yml', `${CONFIG.replace('hub', 'three')}workers: 2\n`);
    primary.signals.emit('SIGHUP');
    await until(() => /"error":"no such certificate","msg":"reload failed"/.test(primary.printed()));
    for (const { done } of workers) expect(done).toEqual(['reload two']);
    refuse(undefined);
    primary.signals.emit('SIGHUP');
    await until(() => workers.every(({ done }) => done.join() === 'reload two,reload three'));
    primary.signals.emit('SIGTERM');
    await ended;
  });

  test('a worker reloads all when it is asked to', async () => {
    const { primary, workers, ended } = await serveByWorkers(`${CONFIG}workers: 2\n`);
    expect(await workers[1]!.options.reload()).toMatchObject({ restart: ['http.addr'] });
    for (const { done } of workers) expect(done).toEqual(['reload hub']);
    primary.signals.emit('SIGTERM');
    await ended;
  });

  test('a signal to one ends that one, and another begins', async () => {
    const { primary, workers, ended } = await serveByWorkers(`${CONFIG}workers: 2\n`);
    workers[0]!.scene.signals.emit('SIGTERM');
    workers[0]!.scene.signals.emit('SIGTERM');
    await until(() => primary.printed().includes('"msg":"worker ended"'));
    await primary.clock.advance(1);
    await until(() => primary.printed().includes('"msg":"worker started"'));
    expect(workers).toHaveLength(3);
    expect([workers[0]!.done, workers[1]!.done, workers.length]).toEqual([['drain'], [], 3]);
    expect(primary.printed()).toMatch(/"level":"info"[^\n]*"how":0[^\n]*"msg":"worker ended"/);
    primary.signals.emit('SIGTERM');
    await ended;
  });

  test('a worker whose primary has gone ends what it does, and itself', async () => {
    const { workers } = await serveByWorkers(`${CONFIG}workers: 2\n`);
    const [one] = workers;
    one!.orphan();
    expect(await one!.ended).toBe(0);
    expect(one!.done).toEqual(['drain']);
  });

  test('the primary lives on while no worker does, and no longer than it serves', async () => {
    const { primary, workers, held, ended } = await serveByWorkers(`${CONFIG}workers: 2\n`);
    for (const worker of workers) worker.orphan();
    await until(() => primary.printed().split('"msg":"worker ended"').length === 3);
    expect(held()).toBe(1);
    primary.signals.emit('SIGTERM');
    await ended;
    expect(held()).toBe(0);
  });
});
