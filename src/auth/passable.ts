import type { Ways } from './identify.ts';

/** Of a name and a password together: those of clouds are tokens of some thousand characters, and servers take lines of 8 KiB. */
const LENGTH_MAX = 6000;

/**
 * Whether credentials that are nobody's here may be shown to an upstream. Not what has the shape of a secret of ours, be it expired or
 * not to be asked about now; nor, where that could not be asked (`unheard`), what may be the password of a user of that name. RFC 7617 2
 * allows no control characters: what a server makes of them is anybody's guess.
 */
export function isPassable(
  { username, password }: { readonly username: string; readonly password: string },
  { passwords, machineTokens, signInTokens }: Pick<Ways, 'passwords' | 'machineTokens' | 'signInTokens'>,
  unheard: boolean,
): boolean {
  if (username.length + password.length > LENGTH_MAX || /\p{Cc}/u.test(username + password)) return false;
  if (machineTokens?.isOne(password) === true || signInTokens?.isOne(password) === true) return false;
  return !unheard || passwords?.fingerprint(username) === undefined;
}
