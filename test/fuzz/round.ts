import type { Draw } from '../faults/mutated-requests.ts';
import { newInput } from './mutation.ts';
import { msMaxOf, type Parser } from './parser.ts';

/** What must not happen, and the input with which it does. */
export interface Finding {
  readonly parser: string;
  readonly input: string;
  readonly what: string;
}

/** How a parser has done so far. */
export interface Tally {
  inputs: number;
  /** Of one input, ms; as measured, with whatever else the machine did. */
  slowestMs: number;
  longest: number;
  shapes: number;
}

/** One parser, with the inputs that showed something new. */
export interface Target {
  readonly parser: Parser;
  readonly tally: Tally;
  /** Reads an input, and remembers it if its shape is new. */
  read(input: string): Promise<Finding | undefined>;
  /** Makes a new one from those that are known. `before` is told of it before it is read. */
  next(draw: Draw, before: (input: string) => void): Promise<Finding | undefined>;
}

const POOL_MAX = 300;
/** Longer ones are made anew each time. */
const KEPT_LENGTH_MAX = 4096;
/** One that took long is read again as often: only what is always slow is. */
const AGAIN = 5;

export function createTarget(parser: Parser, corpus: readonly string[]): Target {
  const pool = [...new Set([...(parser.seeds ?? []), ...corpus])];
  const fixed = Math.max(pool.length, 1);
  if (pool.length === 0) pool.push('');
  const shapes = new Set<string>();
  const tally: Tally = { inputs: 0, slowestMs: 0, longest: 0, shapes: 0 };

  async function read(input: string): Promise<Finding | undefined> {
    tally.inputs += 1;
    tally.longest = Math.max(tally.longest, input.length);
    const first = await timed(parser, input);
    if ('what' in first) return { parser: parser.name, input, what: first.what };
    tally.slowestMs = Math.max(tally.slowestMs, first.ms);
    if (first.ms > msMaxOf(parser, input.length)) {
      const ms = await fastest(parser, input);
      if (ms > msMaxOf(parser, input.length)) {
        return { parser: parser.name, input, what: `slow: ${ms.toFixed(0)} ms for ${input.length} bytes` };
      }
    }
    if (!shapes.has(first.shape) && shapes.size < POOL_MAX && input.length <= KEPT_LENGTH_MAX) {
      shapes.add(first.shape);
      if (!pool.includes(input)) pool.push(input);
    }
    tally.shapes = shapes.size;
    return undefined;
  }

  return {
    parser,
    tally,
    read,
    next(draw, before) {
      // What was found is changed as often as what was given.
      const known = draw.below(2) === 0 ? pool : pool.slice(0, fixed);
      const input = newInput({ pool: known, words: parser.words, longest: parser.longest }, draw);
      before(input);
      return read(input);
    },
  };
}

async function timed(
  parser: Parser,
  input: string,
): Promise<{ readonly ms: number; readonly shape: string } | { readonly what: string }> {
  const started = performance.now();
  try {
    const read = parser.read(input);
    const shape = typeof read === 'string' ? read : await read;
    return { ms: performance.now() - started, shape };
  } catch (error) {
    return { what: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** Of the process alone, ms: whatever else the machine does counts for nothing. */
async function fastest(parser: Parser, input: string): Promise<number> {
  let ms = Infinity;
  for (let left = AGAIN; left > 0; left--) {
    const before = process.cpuUsage();
    await timed(parser, input);
    const { user, system } = process.cpuUsage(before);
    ms = Math.min(ms, (user + system) / 1000);
  }
  return ms;
}

/** The shortest input that still fails in the same way, as far as leaving parts out can say. */
export async function shrink(parser: Parser, finding: Finding): Promise<Finding> {
  if (finding.what.startsWith('slow')) return finding;
  const kind = firstLine(finding.what);
  let best = finding.input;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length;) {
      const without = best.slice(0, at) + best.slice(at + size);
      const again = await timed(parser, without);
      if ('what' in again && firstLine(again.what) === kind) best = without;
      else at += size;
    }
  }
  return { ...finding, input: best };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
