import { createHash, createHmac } from 'node:crypto';
import { createAttempts, type Outcome } from './attempts.ts';
import type { Hashing } from './hashing.ts';
import { createHtpasswdUsers, type HtpasswdUsersOptions } from './htpasswd-users.ts';
import { createPasswordCheck, type StoredPassword } from './password-check.ts';
import { createRecent } from './recent.ts';
import type { Subject } from './subject.ts';
import type { Passwords } from './ways.ts';

export { HtpasswdFault, type HtpasswdEvent } from './htpasswd-users.ts';

export interface HtpasswdOptions extends HtpasswdUsersOptions {
  /** The process's one. */
  readonly hashing: Hashing;
}

export interface Htpasswd extends Passwords {
  /** Reads the file, for a start or a reload. Rejects with HtpasswdFault where it says nothing that can be used. */
  load(): Promise<void>;
}

/** How long a password that was looked at is not hashed again. */
const KNOWN_MS = 60_000;
const KNOWN_MAX = 10_000;

export function createHtpasswd(options: HtpasswdOptions): Htpasswd {
  const { clock, random, hashing } = options;
  const users = createHtpasswdUsers(options);
  const attempts = createAttempts(clock);
  const check = createPasswordCheck(hashing);
  /** When each stops to be known, by what was proved; in the order of their times. */
  const right = createRecent<number>(KNOWN_MAX);
  /**
   * As `right`, with the address that was wrong: a client that keeps an old password sends it with every request. It guesses
   * nothing, and is told that it is wrong, where whoever tries another is told to wait.
   */
  const wrong = createRecent<number>(KNOWN_MAX);
  const asking = new Map<string, Promise<boolean>>();
  const key = random.bytes(32);

  const proofOf = (username: string, password: string, stored: string): string =>
    createHmac('sha256', key)
      .update(JSON.stringify([username, password, stored]))
      .digest('base64url');

  function isKnown(known: typeof right, proof: string): boolean {
    for (const [old, untilMs] of known) {
      if (untilMs > clock.monotonic()) break;
      known.delete(old);
    }
    return known.get(proof) !== undefined;
  }

  async function hear(username: string, password: string, client: string, stored: StoredPassword, proof: string) {
    const attempt = await attempts.begin(username, client);
    let outcome: Outcome = 'unknown';
    try {
      // Whoever it waited for may have proved the same.
      outcome = isKnown(right, proof) || (await check(password, stored, proof)) ? 'right' : 'wrong';
      if (outcome === 'right') right.put(proof, clock.monotonic() + KNOWN_MS);
      else wrong.put(`${proof} ${client}`, clock.monotonic() + KNOWN_MS);
      return outcome === 'right';
    } finally {
      attempt.end(outcome);
    }
  }

  return {
    load: () => users.load(),
    async verify(username, password, client) {
      const stored = (await users.look())(username);
      const subject: Subject = { kind: 'user', name: username };
      const proof = proofOf(username, password, stored.hash);
      if (isKnown(right, proof)) return subject;
      // The same from the same address is one attempt, however many requests a client sends with it.
      const one = `${proof} ${client}`;
      if (isKnown(wrong, one)) return undefined;
      const answer = asking.get(one) ?? hear(username, password, client, stored, proof).finally(() => asking.delete(one));
      asking.set(one, answer);
      return (await answer) ? subject : undefined;
    },
    async stands(username, fingerprint) {
      const stored = (await users.look())(username);
      return stored.known && fingerprintOf(username, stored.hash) === fingerprint;
    },
    fingerprint(username) {
      const stored = users.last()?.(username);
      return stored?.known === true ? fingerprintOf(username, stored.hash) : undefined;
    },
  };
}

/** The same in all nodes that read the same file. The salt in the hash is what keeps it from being guessed from. */
function fingerprintOf(username: string, hash: string): string {
  return createHash('sha256')
    .update(JSON.stringify(['htpasswd', username, hash]))
    .digest('base64url')
    .slice(0, 22);
}
