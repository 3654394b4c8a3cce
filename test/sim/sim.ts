import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { listenForStrays } from './checks/no-strays.ts';
import { drawHistory } from './history.ts';
import { play } from './play.ts';
import { shrink } from './shrink.ts';
import { stepText } from './step.ts';
import type { Order, Told } from './worker.ts';

const USAGE = 'usage: npm run sim -- --seed N [--shrink] | --seeds COUNT [--from N] [--minutes M] [--workers W]\n';

interface Options {
  readonly seed: number | undefined;
  readonly isShrinking: boolean;
  readonly seeds: number;
  readonly from: number;
  readonly minutes: number;
  readonly workers: number;
}

/** The command line. `worker`: the path of the built worker. Yields the exit status. */
export async function main(args: readonly string[], worker: string): Promise<number> {
  const options = optionsOf(args);
  if (options === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (options.seed !== undefined) return replay(options.seed, options.isShrinking);
  return many(options, worker);
}

function optionsOf(args: readonly string[]): Options | undefined {
  const number = (name: string): number | undefined => {
    const at = args.indexOf(`--${name}`);
    return at < 0 ? undefined : Number(args[at + 1]);
  };
  const [seed, seeds] = [number('seed'), number('seeds')];
  const options = {
    seed,
    isShrinking: args.includes('--shrink'),
    seeds: seeds ?? 0,
    from: number('from') ?? 1,
    minutes: number('minutes') ?? Infinity,
    workers: number('workers') ?? availableParallelism(),
  };
  const isRight = [options.seeds, options.from, options.minutes, options.workers, seed ?? 0].every((value) => value >= 0);
  return isRight && (seed !== undefined) !== (seeds !== undefined) ? options : undefined;
}

async function replay(seed: number, isShrinking: boolean): Promise<number> {
  listenForStrays();
  const history = drawHistory(seed);
  const { flavour, tempo, settings } = history.nature;
  process.stdout.write(`seed ${seed}: ${flavour}, ${tempo}, ${JSON.stringify(settings)}\n`);
  const verdict = await play(history);
  const again = await play(history);
  process.stdout.write(`${verdict.trace.join('\n')}\n\n${verdict.lives} restarts, trace ${verdict.hash}\n`);
  if (again.hash !== verdict.hash) process.stdout.write(`NOT DETERMINISTIC: the second time the trace is ${again.hash}\n`);
  for (const fault of verdict.faults) process.stdout.write(`FAULT ${fault}\n`);
  if (isShrinking && verdict.faults.length > 0) {
    const small = await shrink(history);
    const { faults, trace } = await play(small);
    const lines = [`shrunk to ${small.steps.length} steps:`, ...small.steps.map(stepText), '', ...trace, ...faults];
    process.stdout.write(`\n${lines.join('\n')}\n\nfor seeds.json:\n${JSON.stringify({ seed, found: '', ...small })}\n`);
  }
  return verdict.faults.length === 0 && again.hash === verdict.hash ? 0 : 1;
}

/** So many seeds, one after another, each by whichever worker is free. */
async function many({ seeds, from, minutes, workers }: Options, worker: string): Promise<number> {
  const started = performance.now();
  const failed: Told[] = [];
  let [next, done] = [from, 0];
  const isOver = (): boolean => next >= from + seeds || performance.now() - started > minutes * 60_000;
  const report = (): void => {
    const seconds = (performance.now() - started) / 1000;
    process.stdout.write(
      `${done} seeds in ${seconds.toFixed(0)} s (${(done / seconds).toFixed(1)}/s), ${failed.length} failed\n`,
    );
  };
  await Promise.all(
    Array.from({ length: workers }, async () => {
      const child = fork(worker);
      while (!isOver()) {
        const told = await order(child, next++);
        done += 1;
        if (told.faults.length > 0) {
          failed.push(told);
          process.stdout.write(`seed ${told.seed}: ${told.faults[0]}\n`);
        }
        if (done % 1000 === 0) report();
      }
      child.kill();
    }),
  );
  report();
  return failed.length === 0 ? 0 : 1;
}

function order(child: ChildProcess, seed: number): Promise<Told> {
  return new Promise((resolve) => {
    const end = (told: Told): void => {
      child.off('exit', onExit);
      resolve(told);
    };
    const onExit = (code: number | null): void => end({ seed, faults: [`the worker died (${code})`], ms: 0 });
    child.once('message', end);
    child.once('exit', onExit);
    child.send({ seed } satisfies Order);
  });
}
