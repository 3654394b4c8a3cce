import { costOf } from './bcrypt.ts';

/** What an htpasswd file says. */
export interface HtpasswdFile {
  /** Hashes by user. Of a user who stands there twice the last, as in the official registry. */
  readonly users: ReadonlyMap<string, string>;
  /** Why it cannot be used; empty: it can. Never with anything of a hash. */
  readonly faults: readonly HtpasswdRemark[];
  readonly warnings: readonly HtpasswdRemark[];
}

export interface HtpasswdRemark {
  /** From 1. */
  readonly line: number;
  /** What is wrong and what to do. */
  readonly message: string;
}

/** Below, a stolen file gives its passwords away soon: `htpasswd -B` alone makes 5. */
export const COST_WARNED_BELOW = 10;
/** Above, one sign-in holds a core for seconds. */
export const COST_MAX = 14;

/** Lines that a file may have: each sign-in's look-up is a Map's, but every change of the file reads them all. */
const LINES_MAX = 20_000;

/** Apache's `htpasswd`: `user:hash` on each line; blank lines and those that begin with `#` say nothing. Only bcrypt. */
export function parseHtpasswd(text: string): HtpasswdFile {
  const users = new Map<string, string>();
  const faults: HtpasswdRemark[] = [];
  const warnings: HtpasswdRemark[] = [];
  const lines = text.replace(/^\uFEFF/, '').split('\n', LINES_MAX + 1);
  if (lines.length > LINES_MAX) faults.push({ line: LINES_MAX + 1, message: `there are more than ${LINES_MAX} lines` });
  for (const [at, written] of lines.entries()) {
    const entry = written.trim();
    if (entry === '' || entry.startsWith('#')) continue;
    const line = at + 1;
    const colon = entry.indexOf(':');
    const [user, hash] = [entry.slice(0, colon), entry.slice(colon + 1)];
    const name = shownName(user);
    const fault = faultOf(colon, user, name, hash);
    if (fault !== undefined) {
      faults.push({ line, message: fault });
      continue;
    }
    if (users.has(user)) warnings.push({ line, message: `${name} stands there twice: this line, the later one, holds` });
    if ((costOf(hash) ?? 0) < COST_WARNED_BELOW) warnings.push({ line, message: weak(name, hash) });
    users.set(user, hash);
  }
  return { users, faults, warnings };
}

/** Whether a user of that name can stand in such a file, and says the same when it is read back. */
export function isHtpasswdUser(user: string): boolean {
  return user !== '' && user === user.trim() && !/[:\uFEFF]|^#/.test(user) && !CONTROL.test(user) && user.length <= 255;
}

/** A control character in a name would be printed with it. */
const CONTROL = /\p{Cc}/u;

/** Where a line is written the wrong way round, the hash stands for the user; and what stands there is offered as a command. */
function shownName(user: string): string {
  return /^[\w@+-][\w.@+-]{0,63}$/.test(user) ? user : 'USER';
}

function faultOf(colon: number, user: string, name: string, hash: string): string | undefined {
  if (colon < 0) return 'this is no user:hash, as `entrepot htpasswd USER` prints it';
  if (user === '') return 'there is no user before the colon';
  if (CONTROL.test(user)) return 'the user has a control character';
  const cost = costOf(hash);
  if (cost === undefined) return `${name} has ${kindOf(hash)}: only bcrypt is read; make it anew, ${remedy(name)}`;
  return cost > COST_MAX
    ? `${name} has cost ${cost}, which holds a core for seconds: at most ${COST_MAX}, ${remedy(name)}`
    : undefined;
}

function remedy(name: string): string {
  return `with \`entrepot htpasswd ${name}\` or \`htpasswd -nB -C 12 ${name}\``;
}

function weak(name: string, hash: string): string {
  return `${name} has cost ${costOf(hash) ?? 0}, which is guessed fast once the file is stolen: at least ${COST_WARNED_BELOW}, ${remedy(name)}`;
}

/** What Apache's program makes, and what stands in /etc/shadow. */
function kindOf(hash: string): string {
  if (hash.startsWith('$apr1$') || hash.startsWith('$1$')) return 'an MD5 hash';
  if (hash.startsWith('{SHA}') || hash.startsWith('{SSHA}')) return 'a SHA-1 hash';
  if (hash.startsWith('$5$') || hash.startsWith('$6$')) return 'a SHA-2 crypt hash';
  if (hash.startsWith('$argon2')) return 'an argon2 hash';
  if (/^\$2.?\$/.test(hash)) return 'a broken bcrypt hash, or one of another kind than $2a$, $2b$ and $2y$';
  return hash === '' ? 'no hash' : 'a crypt hash or a password as it is';
}
