import { createHash, createHmac } from 'node:crypto';
import { attemptsHere, type Attempts, type AttemptsOf, type Outcome } from './attempts.ts';
import type { Hashing } from './hashing.ts';
import { createHtpasswdUsers, type HtpasswdUsersOptions } from './htpasswd-users.ts';
import { createPasswordCheck, type StoredPassword } from './password-check.ts';
import { createRecent, type Recent } from './recent.ts';
import type { Subject } from './subject.ts';
import type { Passwords } from './ways.ts';

export { HtpasswdFault, type HtpasswdEvent } from './htpasswd-users.ts';

export interface HtpasswdOptions extends HtpasswdUsersOptions {
  /** The process's one. */
  readonly hashing: Hashing;
  /** Who counts the wrong ones; default: this process. */
  readonly attempts?: AttemptsOf;
}

export interface Htpasswd extends Passwords {
  /** Reads the file, for a start or a reload. Rejects with HtpasswdFault where it says nothing that can be used. */
  load(): Promise<void>;
}

/** How long a password that was looked at is not hashed again. */
const KNOWN_MS = 60_000;
const KNOWN_MAX = 10_000;

export function createHtpasswd(options: HtpasswdOptions): Htpasswd {
  const { clock, random, hashing, attempts = attemptsHere(clock) } = options;
  const users = createHtpasswdUsers(options);
  const check = createPasswordCheck(hashing);
  /** When each stops to be known, by what was proved; in the order of their times. */
  const right = createRecent<number>(KNOWN_MAX);
  /**
   * A client that keeps an old password sends it with every request. It guesses nothing, and is told that it is wrong, where
   * whoever tries another from its address is told to wait.
   */
  const signIns: Hearing = {
    ...createHearing(attempts('sign-in')),
    oneOf: (proof, client) => `${proof} ${client}`,
    wrongMs: KNOWN_MS,
  };
  /** Many machines have one login to another registry: it is hashed once for all of them. */
  const recognitions: Hearing = {
    ...createHearing(attempts('recognition')),
    oneOf: (proof) => proof,
    wrongMs: Infinity,
  };
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

  async function hear({ attempts, wrong, wrongMs }: Hearing, { username, password, client, stored, proof, one }: Heard) {
    const attempt = await attempts.begin(username, client);
    let outcome: Outcome = 'unknown';
    try {
      // Whoever it waited for may have proved the same.
      outcome =
        isKnown(right, proof) || (await check(password, stored, proof, attempt.isKnown ? 'known' : 'strangers'))
          ? 'right'
          : 'wrong';
      if (outcome === 'right') right.put(proof, clock.monotonic() + KNOWN_MS);
      else wrong.put(one, clock.monotonic() + wrongMs);
      return outcome === 'right';
    } finally {
      attempt.end(outcome);
    }
  }

  async function answer(hearing: Hearing, username: string, password: string, client: string): Promise<Subject | undefined> {
    const stored = (await users.look())(username);
    const subject: Subject = { kind: 'user', name: username };
    const proof = proofOf(username, password, stored.hash);
    if (isKnown(right, proof)) return subject;
    const { wrong, asking } = hearing;
    const one = hearing.oneOf(proof, client);
    if (isKnown(wrong, one)) return undefined;
    const heard =
      asking.get(one) ?? hear(hearing, { username, password, client, stored, proof, one }).finally(() => asking.delete(one));
    asking.set(one, heard);
    return (await heard) ? subject : undefined;
  }

  return {
    load: () => users.load(),
    verify: (username, password, client) => answer(signIns, username, password, client),
    recognize: (username, password, client) => answer(recognitions, username, password, client),
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

/** Those who are heard together: each wrong one is a guess among theirs. */
interface Hearing {
  readonly attempts: Attempts;
  /** What is one attempt, however often it comes. */
  readonly oneOf: (proof: string, client: string) => string;
  /** When each stops to be known, as of `right`. */
  readonly wrong: Recent<number>;
  readonly wrongMs: number;
  readonly asking: Map<string, Promise<boolean>>;
}

interface Heard {
  readonly username: string;
  readonly password: string;
  readonly client: string;
  readonly stored: StoredPassword;
  readonly proof: string;
  readonly one: string;
}

function createHearing(attempts: Attempts): Pick<Hearing, 'attempts' | 'wrong' | 'asking'> {
  return { attempts, wrong: createRecent(KNOWN_MAX), asking: new Map() };
}

/** The same in all nodes that read the same file. The salt in the hash is what keeps it from being guessed from. */
function fingerprintOf(username: string, hash: string): string {
  return createHash('sha256')
    .update(JSON.stringify(['htpasswd', username, hash]))
    .digest('base64url')
    .slice(0, 22);
}
