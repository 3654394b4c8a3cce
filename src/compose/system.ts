import { systemClock } from '../system/clock.ts';
import { nodeDisk } from '../system/node-disk.ts';
import { systemRandom } from '../system/random.ts';
import { runProgram } from '../system/run-program.ts';

/** The machine as it is: tests of a part bring fakes instead. */
export const system = { clock: systemClock, disk: nodeDisk, random: systemRandom, run: runProgram };

export type System = typeof system;
