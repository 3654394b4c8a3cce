import { RegistryError } from '../oci/errors.ts';
import type { Clock } from '../system/clock.ts';
import { verifyBcrypt, type VerifyBcrypt } from './bcrypt.ts';

/** Work with passwords, one after the other: one for the whole process. */
export interface Hashing {
  /**
   * RegistryError 429 where too many wait already. `known`: it is for somebody who was right from there before; they have a line
   * of their own, which comes first, so that however many strangers wait keep nobody out.
   */
  run<T>(work: (verify: VerifyBcrypt) => Promise<T>, whose?: Line): Promise<T>;
}

export type Line = 'known' | 'strangers';

/** Works that wait for their turn, in each line. */
export const HASHES_WAITING_MAX = 32;

/**
 * bcrypt runs in libuv's pool, whose four threads disk and DNS need: with four hashes at once a `stat` waited for 1.5 s, with
 * one as long as with none (reliability.md, S31).
 */
export function createHashing({ clock, verify = verifyBcrypt }: { clock: Clock; verify?: VerifyBcrypt }): Hashing {
  const lines: Readonly<Record<Line, (() => void)[]>> = { known: [], strangers: [] };
  let isWorking = false;
  let tookMs = 0;

  function callNext(): void {
    const next = isWorking ? undefined : (lines.known.shift() ?? lines.strangers.shift());
    if (next === undefined) return;
    isWorking = true;
    next();
  }

  return {
    async run(work, whose = 'strangers') {
      const line = lines[whose];
      if (line.length >= HASHES_WAITING_MAX) throw tooManyAtOnce(line.length * tookMs);
      await new Promise<void>((resolve) => {
        line.push(resolve);
        callNext();
      });
      const began = clock.monotonic();
      try {
        return await work(verify);
      } finally {
        tookMs = clock.monotonic() - began;
        isWorking = false;
        callNext();
      }
    },
  };
}

function tooManyAtOnce(ms: number): RegistryError {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return new RegistryError('TOOMANYREQUESTS', `too many sign-ins at once: try again in ${seconds} s`, {
    headers: { 'Retry-After': String(seconds) },
  });
}
