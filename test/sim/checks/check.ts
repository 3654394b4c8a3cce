import type { Answer } from '../puller.ts';
import type { PushAnswer, PushAsk } from '../pusher.ts';
import type { World } from '../world.ts';

export interface Pushed {
  readonly asked: PushAsk;
  readonly answer: PushAnswer;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** One promise or invariant. Each function yields what is wrong, as sentences. */
export interface Check {
  /** `I1`, `promise 5`: of reliability.md 3.2 and architecture.md. */
  readonly of: string;
  /** A request that only reads has ended. */
  readonly onAnswer?: (world: World, answer: Answer) => Faults;
  /** A request that changes something has ended. */
  readonly onPush?: (world: World, pushed: Pushed) => Faults;
  /** A step was done. */
  readonly onStep?: (world: World) => Faults;
  /** A process has started on what another left. */
  readonly onStart?: (world: World) => Promise<Faults>;
  /** Nobody waits, and nothing is wrong with disk, metadata and upstreams. May ask the server. */
  readonly onQuiet?: (world: World) => Promise<Faults>;
  /** A day later, nothing having happened. */
  readonly onAged?: (world: World) => Promise<Faults>;
  /** The process has ended by itself. */
  readonly onDrained?: (world: World) => Faults;
  /** A little later. */
  readonly onEnded?: (world: World) => Faults;
}

export type Faults = readonly string[] | string | undefined;

/** All checks at once. */
export interface Judge {
  answer(world: World, answer: Answer): void;
  push(world: World, pushed: Pushed): void;
  step(world: World): void;
  drained(world: World): void;
  ended(world: World): void;
  /** Those that ask the server take simulated time, which somebody else must let pass. */
  at(world: World, when: 'onStart' | 'onQuiet' | 'onAged'): Promise<void>;
}
