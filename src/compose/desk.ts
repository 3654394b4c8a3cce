import { attemptsHere, type Attempts, type Outcome, type Said } from '../auth/attempts.ts';
import { countHere, type Whose } from '../http/limits.ts';
import type { Rate, Taken } from '../http/token-bucket.ts';
import type { Clock } from '../system/clock.ts';
import type { Answers } from '../workers/peer.ts';

/** Where workers ask about what has to be counted in one place, lest each of them grants all of it. */
export interface Desk {
  readonly answers: Answers;
  /** A worker has ended: what it had taken is given back. */
  left(worker: number): void;
}

export interface AskAttempt {
  readonly id: number;
  readonly said: Said;
  readonly username: string;
  readonly client: string;
}

export interface AskTaken {
  readonly whose: Whose;
  readonly key: string;
  readonly rate: Rate;
  readonly waitMsMax: number;
}

export interface AskPlace {
  readonly id: number;
  readonly whose: Whose;
  readonly key: string;
  readonly max: number;
  readonly waitMsMax: number;
}

/** In the primary. `id`s are a worker's own. */
export function createDesk(clock: Clock): Desk {
  const counting = countHere(clock);
  const attemptsOf = attemptsHere(clock);
  const attempts: Record<Said, Attempts> = {
    'sign-in': attemptsOf('sign-in'),
    recognition: attemptsOf('recognition'),
    passthrough: attemptsOf('passthrough'),
  };
  const taken = new Map<number, Map<string, (outcome: Outcome) => void>>();

  /** Also before it is there: who leaves meanwhile must not have it. */
  function hold(worker: number, name: string): { end: ((outcome: Outcome) => void) | undefined; readonly signal: AbortSignal } {
    const gone = new AbortController();
    const held: ReturnType<typeof hold> = { end: undefined, signal: gone.signal };
    const all = taken.get(worker) ?? new Map<string, (outcome: Outcome) => void>();
    taken.set(worker, all);
    all.set(name, (outcome) => {
      all.delete(name);
      gone.abort(new Error('nobody waits any more'));
      held.end?.(outcome);
    });
    return held;
  }

  const over = (worker: number, name: string, outcome: Outcome): void => taken.get(worker)?.get(name)?.(outcome);

  return {
    left(worker) {
      for (const end of taken.get(worker)?.values() ?? []) end('unknown');
      taken.delete(worker);
    },
    answers: {
      async attempt({ id, said, username, client }: AskAttempt, worker: number) {
        const held = hold(worker, `attempt ${id}`);
        try {
          const attempt = await attempts[said].begin(username, client);
          if (held.signal.aborted) attempt.end('unknown');
          else held.end = (outcome) => attempt.end(outcome);
          return { isKnown: attempt.isKnown };
        } catch (error) {
          over(worker, `attempt ${id}`, 'unknown');
          throw error;
        }
      },
      'attempt over': ({ id, outcome }: { readonly id: number; readonly outcome: Outcome }, worker: number) =>
        over(worker, `attempt ${id}`, outcome),
      allowance: ({ whose, key, rate, waitMsMax }: AskTaken): Taken | Promise<Taken> =>
        counting.take(whose, key, rate, waitMsMax),
      async place({ id, whose, key, max, waitMsMax }: AskPlace, worker: number) {
        const held = hold(worker, `place ${id}`);
        const leave = await counting.place(whose, key, max, waitMsMax, held.signal);
        if (leave === undefined) over(worker, `place ${id}`, 'unknown');
        else if (held.signal.aborted) leave();
        else held.end = leave;
        return leave !== undefined;
      },
      'place over': (id: number, worker: number) => over(worker, `place ${id}`, 'unknown'),
    },
  };
}
