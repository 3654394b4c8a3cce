import { RegistryError } from '../oci/errors.ts';
import type { Clock } from '../system/clock.ts';
import { verifyBcrypt, type VerifyBcrypt } from './bcrypt.ts';

/** Work with passwords, one after the other: one for the whole process. */
export interface Hashing {
  /** RegistryError 429 where too many wait already. */
  run<T>(work: (verify: VerifyBcrypt) => Promise<T>): Promise<T>;
}

/** Works that wait for their turn. */
export const HASHES_WAITING_MAX = 32;

/**
 * bcrypt runs in libuv's pool, whose four threads disk and DNS need: with four hashes at once a `stat` waited for 1.5 s, with
 * one as long as with none (reliability.md, S31).
 */
export function createHashing({ clock, verify = verifyBcrypt }: { clock: Clock; verify?: VerifyBcrypt }): Hashing {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let tookMs = 0;

  return {
    async run(work) {
      // One of them works.
      if (waiting > HASHES_WAITING_MAX) throw tooManyAtOnce(waiting * tookMs);
      waiting += 1;
      const turn = last.then(async () => {
        const began = clock.monotonic();
        try {
          return await work(verify);
        } finally {
          tookMs = clock.monotonic() - began;
          waiting -= 1;
        }
      });
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

function tooManyAtOnce(ms: number): RegistryError {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return new RegistryError('TOOMANYREQUESTS', `too many sign-ins at once: try again in ${seconds} s`, {
    headers: { 'Retry-After': String(seconds) },
  });
}
