import type { World } from '../world.ts';
import { absence } from './absence.ts';
import { acknowledged } from './acknowledged.ts';
import type { Check, Faults, Judge } from './check.ts';
import { cleanExit } from './clean-exit.ts';
import { counters } from './counters.ts';
import { flatCost } from './flat-cost.ts';
import { freshTags } from './fresh-tags.ts';
import { hostedReads } from './hosted-reads.ts';
import { leftovers } from './leftovers.ts';
import { linksHeal } from './links-heal.ts';
import { membership } from './membership.ts';
import { neverFails } from './never-fails.ts';
import { noStrays } from './no-strays.ts';
import { oneFill } from './one-fill.ts';
import { outlives } from './outlives.ts';
import { pushesSucceed } from './pushes-succeed.ts';
import { rightBytes } from './right-bytes.ts';
import { servedStale } from './served-stale.ts';
import { unheld } from './unheld.ts';

/**
 * What is looked at. Not to be seen from here: credentials (promise 8, I7) stay behind the upstream's port, and memory
 * (promise 7) is only what is left open; both have tests of their own.
 */
export const CHECKS: readonly Check[] = [
  // Those that ask nobody come first: what is asked for is still being kept when it has been read.
  oneFill,
  counters,
  rightBytes,
  outlives,
  acknowledged,
  hostedReads,
  membership,
  linksHeal,
  absence,
  neverFails,
  unheld,
  servedStale,
  freshTags,
  pushesSucceed,
  flatCost,
  leftovers,
  cleanExit,
  noStrays,
];

/** What is found is a fault of the world's. */
export const judge: Judge = {
  answer(world, answer) {
    for (const { of, onAnswer } of CHECKS) add(world, of, onAnswer?.(world, answer));
  },
  push(world, pushed) {
    for (const { of, onPush } of CHECKS) add(world, of, onPush?.(world, pushed));
  },
  step(world) {
    for (const { of, onStep } of CHECKS) add(world, of, onStep?.(world));
  },
  drained(world) {
    for (const { of, onDrained } of CHECKS) add(world, of, onDrained?.(world));
  },
  ended(world) {
    for (const { of, onEnded } of CHECKS) add(world, of, onEnded?.(world));
  },
  async at(world, when) {
    for (const check of CHECKS) add(world, check.of, await check[when]?.(world));
  },
};

function add(world: World, of: string, faults: Faults): void {
  for (const fault of typeof faults === 'string' ? [faults] : (faults ?? [])) {
    world.faults.push(`[${of}] ${fault}`);
    world.note(`FAULT ${fault}`);
  }
}
