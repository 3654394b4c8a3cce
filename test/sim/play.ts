import { createHash } from 'node:crypto';
import { act, settle } from './act.ts';
import { judge } from './checks/checks.ts';
import type { History } from './history.ts';
import { stepText } from './step.ts';
import { World } from './world.ts';

export interface Verdict {
  readonly seed: number;
  /** Each breach of a promise, as a sentence. */
  readonly faults: readonly string[];
  /** Of all that was seen, in order. */
  readonly hash: string;
  readonly trace: readonly string[];
  readonly lives: number;
}

/** Longer than any leftover may stay: the wall clock alone moves on by it, since ages are told by that. */
const AGED_MS = 32 * 3600_000;
/** Whatever looks for leftovers looks once an hour; its turn may come after another's. */
const LOOKED_MS = 70 * 60_000;

/** Plays a history to its end, and judges all of it. Stops at the first fault. */
export async function play({ nature, steps }: History): Promise<Verdict> {
  const world = await World.create(nature, judge);
  try {
    await live(world, { nature, steps });
  } catch (error) {
    world.faults.push(
      `[simulator] ${error instanceof Error ? (error.stack ?? error.message) : String(error)}${causeOf(error)}`,
    );
  }
  world.server.life.end();
  const { faults, trace, lives } = world;
  const hash = createHash('sha256').update(trace.join('\n')).digest('hex').slice(0, 16);
  return { seed: nature.seed, faults, hash, trace, lives };
}

async function live(world: World, { nature, steps }: History): Promise<void> {
  for (const [at, step] of steps.entries()) {
    world.note(`step ${at}: ${stepText(step)}`);
    const { lives } = world;
    world.stepSince = world.now;
    await act(world, step.doing);
    await world.pass(step.gap);
    if (world.lives !== lives) await world.through(judge.at(world, 'onStart'));
    judge.step(world);
    if (world.faults.length > 0) return;
  }
  await settle(world);
  judge.step(world);
  if (world.faults.length > 0) return;
  // Costs more than all before it.
  if (nature.seed % 24 === 0) {
    world.jump(AGED_MS);
    await world.pass(LOOKED_MS);
    await world.through(judge.at(world, 'onAged'));
  }
  await act(world, { do: 'terminate', drainMs: 0 });
  judge.step(world);
}

function causeOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? ` because ${error.cause.stack}` : '';
}
