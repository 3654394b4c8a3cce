import { RegistryError } from '../oci/errors.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { Random } from '../system/random.ts';
import { textFile } from '../system/text-file.ts';
import { costOf } from './bcrypt.ts';
import { parseHtpasswd, type HtpasswdRemark } from './htpasswd-file.ts';
import { decoyHash, type StoredPassword } from './password-check.ts';

/** An htpasswd file as it is now. */
export interface HtpasswdUsers {
  /** Rejects with HtpasswdFault where it says nothing that can be used. */
  load(): Promise<void>;
  /** While it cannot be used, what it said before. RegistryError 503 where it never could. */
  look(): Promise<StoredPasswords>;
  /** What the last look found. */
  last(): StoredPasswords | undefined;
}

export type StoredPasswords = (username: string) => StoredPassword;

export interface HtpasswdUsersOptions {
  readonly path: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (event: HtpasswdEvent) => void;
}

/** What becomes of the file: lines that each begin `/etc/entrepot/htpasswd:3: `. */
export type HtpasswdEvent =
  | { readonly kind: 'htpasswd-read'; readonly path: string; readonly users: number; readonly warnings: readonly string[] }
  /** Said once, until it is right again or wrong in another way; what it said before stays in force. */
  | { readonly kind: 'htpasswd-wrong'; readonly path: string; readonly faults: readonly string[] };

/** What is wrong with the file, a line each. */
export class HtpasswdFault extends Error {
  override readonly name = 'HtpasswdFault';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/** Whoever writes a file may empty it first; after this it is empty. */
const EMPTY_MS = 2000;
/** A disk that hangs holds up nobody who is known. */
const PATIENCE_MS = 1000;
/** Of one kind; the others are counted. */
const REMARKS_MAX = 10;
/** Where there are no users: what we would give them. */
const COST = 12;

export function createHtpasswdUsers(options: HtpasswdUsersOptions): HtpasswdUsers {
  const { path, clock, random, report } = options;
  const read = textFile(path, options);
  const at = ({ line, message }: HtpasswdRemark): string => `${path}:${line}: ${message}`;
  let taken: StoredPasswords | undefined;
  /** What was read last, and what is wrong with it: each question looks at the file, but parses it once. */
  let judged: { readonly text: string; readonly faults: readonly string[] } | undefined;
  let emptySinceMs: number | undefined;
  let said = '';

  /** Yields what is wrong; nothing: it is in force. */
  function take(text: string): readonly string[] {
    if (judged?.text !== text) judged = { text, faults: judge(text) };
    return judged.faults;
  }

  function judge(text: string): readonly string[] {
    const { users, faults, warnings } = parseHtpasswd(text);
    if (faults.length > 0) return firstOf(faults.map(at));
    taken = storedPasswords(users, random);
    const nobody = users.size === 0 ? [`${path}: nobody is in it: add somebody with \`entrepot htpasswd USER\``] : [];
    report({ kind: 'htpasswd-read', path, users: users.size, warnings: firstOf([...warnings.map(at), ...nobody]) });
    return [];
  }

  async function readNow(): Promise<readonly string[]> {
    const { text = '', trouble } = await read();
    if (trouble === undefined) emptySinceMs = undefined;
    if (trouble === undefined) return take(text);
    if (trouble !== 'empty') return [`${path} cannot be read (${trouble})`];
    emptySinceMs ??= clock.monotonic();
    return taken === undefined || clock.monotonic() - emptySinceMs >= EMPTY_MS ? take('') : [];
  }

  const looking = afterAnother(clock, async () => {
    const faults = (await readNow()).join('\n');
    if (faults !== '' && faults !== said) report({ kind: 'htpasswd-wrong', path, faults: faults.split('\n') });
    said = faults;
  });

  return {
    async load() {
      const faults = await readNow();
      if (faults.length > 0) throw new HtpasswdFault(faults);
    },
    async look() {
      // Nothing of a request stays behind with a look that never ends.
      const leftMs = taken === undefined ? Infinity : PATIENCE_MS - looking.forMs();
      if (leftMs > 0) await atMost(clock, looking.next(), leftMs);
      if (taken === undefined) throw new RegistryError('UNAVAILABLE', 'who signs in cannot be read now', { status: 503 });
      return taken;
    },
    last: () => taken,
  };
}

/** Unknown users have a hash that nobody's password has, of the highest cost that others have. */
function storedPasswords(users: ReadonlyMap<string, string>, random: Random): StoredPasswords {
  const costMax = users.size === 0 ? COST : Math.max(...Array.from(users.values(), (hash) => costOf(hash) ?? 0));
  const unknown = { known: false, hash: decoyHash(random, costMax), costMax };
  return (username) => {
    const hash = users.get(username);
    return hash === undefined ? unknown : { known: true, hash, costMax };
  };
}

function firstOf(lines: readonly string[]): readonly string[] {
  if (lines.length <= REMARKS_MAX) return lines;
  return [...lines.slice(0, REMARKS_MAX), `and ${lines.length - REMARKS_MAX} more`];
}

interface Looking {
  /** One at a time; who comes while one runs shares the next, since this one may have looked before what it asks about. */
  next(): Promise<void>;
  /** For how long the one that runs has, ms: only the first to meet a disk that hangs waits for it. */
  forMs(): number;
}

function afterAnother(clock: Clock, work: () => Promise<void>): Looking {
  let running: { readonly ended: Promise<void>; readonly sinceMs: number } | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    next = undefined;
    const ended = work().finally(() => (running = undefined));
    running = { ended, sinceMs: clock.monotonic() };
    return ended;
  };
  return {
    next: () => (running === undefined ? begin() : (next ??= running.ended.then(begin))),
    forMs: () => (running === undefined ? 0 : clock.monotonic() - running.sinceMs),
  };
}

function atMost(clock: Clock, work: Promise<void>, ms: number): Promise<void> {
  if (ms === Infinity) return work;
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, resolve);
    work.finally(() => timer.cancel()).then(resolve, reject);
  });
}
