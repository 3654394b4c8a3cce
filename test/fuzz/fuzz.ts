import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { addToCorpus, toLine } from './corpus.ts';
import { inHand } from './in-hand.ts';
import { parsersCalled } from './parsers.ts';
import type { Finding, Tally } from './round.ts';
import type { Order, Told } from './worker.ts';

/** Where things are. */
export interface Places {
  /** The compiled worker. */
  readonly worker: string;
  readonly corpus: string;
}

const MIB = 1024 * 1024;
/** Long enough for whatever else the machine does. */
const HANG_MS = 20_000;
/** More memory than any of them may need for one input. */
const HEAP_MIB_MAX = 512;
const TURN_MS = 500;
/** Held after a round: of the first of them caches fill and code is compiled. */
const WARM_ROUNDS = 4;
const GROWTH_MIB_MAX = 24;

const USAGE = `usage: npm run fuzz -- [--minutes 1] [--seed N] [--parser NAME ...] [--turn 500] [--keep]
  Gives every parser of strangers' bytes inputs that nobody has thought of, in turns. --keep adds what fails to the corpus.`;

/** `npm run fuzz`: exit 0 where nothing was found. */
export async function main(args: readonly string[], places: Places): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
      parser: { type: 'string', multiple: true, default: [] },
      turn: { type: 'string', default: String(TURN_MS) },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const run = { ...places, seed: Number(values.seed), names: values.parser, turnMs: Number(values.turn), hangMs: HANG_MS };
  console.log(`seed ${run.seed}`);
  const outcome = await fuzz({ ...run, ms: Number(values.minutes) * 60_000 }, ({ parser, input, what }) => {
    console.log(`\nFOUND in ${parser}: ${what}\n  input: ${toLine(input).slice(0, 2000)}`);
    if (values.keep) addToCorpus(places.corpus, parser, input);
  });
  console.log(report(outcome));
  return outcome.findings.length === 0 ? 0 : 1;
}

export interface Run extends Places {
  readonly seed: number;
  /** Of parsers; empty: all. */
  readonly names: readonly string[];
  readonly turnMs: number;
  readonly ms: number;
  /** One input that takes as long takes for ever. */
  readonly hangMs: number;
}

export interface Outcome {
  readonly findings: readonly Finding[];
  readonly tallies: ReadonlyMap<string, Tally>;
  readonly seconds: number;
  /** What was held after each round, MiB. */
  readonly heldMib: readonly number[];
  readonly rssMib: number;
}

/** Has workers read until the time is over: a new one, with another seed, where one hangs or dies. */
export async function fuzz(run: Run, found: (finding: Finding) => void): Promise<Outcome> {
  const parsers = await parsersCalled(run.names);
  const findings: Finding[] = [];
  const tallies = new Map<string, Tally>();
  let [heldMib, rssMib]: [number[], number] = [[], 0];
  const started = performance.now();
  const note = (finding: Finding): void => {
    findings.push(finding);
    found(finding);
  };
  for (let lives = 0; performance.now() - started < run.ms && lives < 20; lives++) {
    // A round's are of one worker: another begins with an empty heap.
    heldMib = [];
    const before = new Map(tallies);
    await live({ ...run, seed: run.seed + lives }, parsers, run.ms - (performance.now() - started), (told) => {
      if (told.kind === 'finding') return note(told.finding);
      heldMib.push(told.heapBytes / MIB);
      rssMib = Math.max(rssMib, told.rssBytes / MIB);
      for (const [at, tally] of told.tallies.entries()) {
        const name = parsers[at]?.name ?? '';
        tallies.set(name, sum(before.get(name), tally));
      }
    });
  }
  const growth = growthOf(heldMib);
  if (growth > GROWTH_MIB_MAX) note({ parser: 'all', input: '', what: `${growth.toFixed(0)} MiB more are held than at first` });
  return { findings, tallies, seconds: (performance.now() - started) / 1000, heldMib, rssMib };
}

/** The line in which Node, or V8, says why. */
const WHY = /^(?:FATAL ERROR|\w*Error): .*/m;

/** One worker's life. Resolves when its time is over, when it hangs, or when it has died. */
async function live(
  run: Run,
  parsers: readonly { readonly name: string }[],
  ms: number,
  hear: (told: Told) => void,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-fuzz-'));
  const hand = inHand(join(directory, 'hand'));
  const worker = fork(run.worker, {
    execArgv: [`--max-old-space-size=${HEAP_MIB_MAX}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const { seed, names, corpus, turnMs } = run;
  worker.send({ seed, names, corpus, turnMs, hand: join(directory, 'hand') } satisfies Order);
  let said = '';
  worker.stderr?.on('data', (bytes: Buffer) => (said = `${said}${bytes.toString()}`.slice(0, 2000)));
  const blame = (what: string): void => {
    const { parser, input } = hand.get() ?? { parser: -1, input: '' };
    hear({ kind: 'finding', finding: { parser: parsers[parser]?.name ?? 'all', input, what } });
  };
  let isOver = false;
  await new Promise<void>((resolve) => {
    let [seen, since] = [hand.count(), performance.now()];
    const end = (): void => {
      isOver = true;
      worker.kill('SIGKILL');
    };
    const over = setTimeout(end, ms);
    const watch = setInterval(() => {
      if (hand.count() !== seen || hand.get() === undefined) [seen, since] = [hand.count(), performance.now()];
      if (isOver || performance.now() - since < run.hangMs) return;
      blame(`hangs: ${run.hangMs / 1000} s for one input`);
      end();
    }, run.hangMs / 10);
    worker.on('message', (told) => hear(told as Told));
    worker.on('close', (code, signal) => {
      clearTimeout(over);
      clearInterval(watch);
      if (!isOver) blame(`ends the process: ${signal ?? code} ${WHY.exec(said)?.[0] ?? said}`);
      resolve();
    });
  });
  hand.close();
  rmSync(directory, { recursive: true });
}

function sum(one: Tally | undefined, other: Tally): Tally {
  if (one === undefined) return other;
  return {
    inputs: one.inputs + other.inputs,
    slowestMs: Math.max(one.slowestMs, other.slowestMs),
    longest: Math.max(one.longest, other.longest),
    shapes: Math.max(one.shapes, other.shapes),
  };
}

/** Between the first rounds that count and the last ones, by their medians. */
function growthOf(held: readonly number[]): number {
  const counted = held.slice(WARM_ROUNDS);
  const part = Math.ceil(counted.length / 4);
  return counted.length < 4 ? 0 : median(counted.slice(-part)) - median(counted.slice(0, part));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function report({ findings, tallies, seconds, heldMib, rssMib }: Outcome): string {
  const rows = [...tallies].map(([name, { inputs, shapes, longest, slowestMs }]) => {
    const cells = [String(inputs).padStart(11), String(shapes).padStart(7), String(longest).padStart(9)];
    return `${name.padEnd(24)}${cells.join('')}${slowestMs.toFixed(0).padStart(9)} ms`;
  });
  const inputs = [...tallies.values()].reduce((total, tally) => total + tally.inputs, 0);
  const counted = heldMib.slice(WARM_ROUNDS);
  return [
    '',
    `${'parser'.padEnd(24)}${'inputs'.padStart(11)}${'shapes'.padStart(7)}${'longest'.padStart(9)}${'slowest'.padStart(12)}`,
    ...rows,
    '',
    `${inputs} inputs in ${(seconds / 60).toFixed(1)} min, ${Math.round(inputs / seconds)}/s, ${heldMib.length} rounds`,
    `held after a round: ${counted[0]?.toFixed(1) ?? '?'} MiB at first, ${counted.at(-1)?.toFixed(1) ?? '?'} MiB at last, ` +
      `at most ${Math.max(0, ...counted).toFixed(1)} MiB; process at most ${rssMib.toFixed(0)} MiB`,
    `${findings.length} findings`,
  ].join('\n');
}
