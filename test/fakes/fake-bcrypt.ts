import { createHash } from 'node:crypto';
import { costOf, type VerifyBcrypt } from '../../src/auth/bcrypt.ts';

/** What looks like bcrypt's hashes and is made at once; counts what bcrypt would have to do. */
export interface FakeBcrypt {
  readonly verify: VerifyBcrypt;
  /** A line of an htpasswd file is `${user}:${hash(password)}`. */
  hash(password: string, cost?: number): string;
  /** Calls so far. */
  calls(): number;
  /** 2^cost of all calls so far: what they take. */
  rounds(): number;
  /** Calls under way at once, at most. */
  mostAtOnce(): number;
  /** From now on calls wait; what is returned lets those go that wait, and all that follow. */
  hold(): () => void;
}

export function createFakeBcrypt(): FakeBcrypt {
  let [calls, rounds, now, most] = [0, 0, 0, 0];
  let gate: Promise<void> = Promise.resolve();

  const letters = (password: string): string =>
    createHash('sha512').update(password).digest('base64').replaceAll('+', '.').replaceAll('=', '/').slice(0, 53);
  const hash = (password: string, cost = 10): string => `$2y$${String(cost).padStart(2, '0')}$${letters(password)}`;

  return {
    hash,
    async verify(password, stored) {
      calls += 1;
      rounds += 2 ** (costOf(stored) ?? 0);
      now += 1;
      most = Math.max(most, now);
      await gate;
      now -= 1;
      return stored.slice(7) === letters(Buffer.from(password).subarray(0, 72).toString());
    },
    calls: () => calls,
    rounds: () => rounds,
    mostAtOnce: () => most,
    hold() {
      let open = (): void => undefined;
      gate = new Promise<void>((resolve) => (open = resolve));
      return open;
    },
  };
}
