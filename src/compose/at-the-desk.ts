import type { AttemptsOf, Outcome } from '../auth/attempts.ts';
import type { Counting } from '../http/limits.ts';
import type { Taken } from '../http/token-bucket.ts';
import type { Siblings } from '../workers/siblings.ts';
import type { AskAttempt, AskPlace, AskTaken } from './desk.ts';

/** What a worker has counted where all are counted; `undefined` where one process serves, which counts by itself. */
export function atTheDesk(siblings: Siblings): { readonly counting: Counting; readonly attempts: AttemptsOf } | undefined {
  if (siblings.count === 1) return undefined;
  let last = 0;
  return {
    counting: {
      // Without a primary this process is about to end: nobody is held up for that.
      take: (whose, key, rate, waitMsMax) =>
        siblings
          .ask('allowance', { whose, key, rate, waitMsMax } satisfies AskTaken)
          .then((taken) => taken as Taken)
          .catch((): Taken => ({ taken: true, waitMs: 0 })),
      async place(whose, key, max, waitMsMax, signal) {
        const id = (last += 1);
        // Where the primary has ended, nobody holds anything.
        const leave = (): void => void siblings.ask('place over', id).catch(() => undefined);
        signal.addEventListener('abort', leave, { once: true });
        const asked: AskPlace = { id, whose, key, max, waitMsMax };
        const given = await siblings.ask('place', asked).catch(() => true);
        signal.removeEventListener('abort', leave);
        return given === true ? leave : undefined;
      },
    },
    attempts: (said) => ({
      async begin(username, client) {
        const id = (last += 1);
        const asked: AskAttempt = { id, said, username, client };
        const { isKnown } = (await siblings.ask('attempt', asked)) as { readonly isKnown: boolean };
        return {
          isKnown,
          end: (outcome: Outcome) => void siblings.ask('attempt over', { id, outcome }).catch(() => undefined),
        };
      },
    }),
  };
}
