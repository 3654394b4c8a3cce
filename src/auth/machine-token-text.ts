import { createHash } from 'node:crypto';

/**
 * A machine token as text:
 *
 *     entrepot_<id>_<secret><check>      75 characters
 *     id       16 hexadecimal digits: which token it is, no secret
 *     secret   43 characters of base64url: 32 random bytes
 *     check    6 hexadecimal digits: the first of the SHA-256 of everything before them
 *
 * So nobody takes a password for one, and a scanner for secrets finds it by `entrepot_[0-9a-f]{16}_[A-Za-z0-9_-]{43}[0-9a-f]{6}`
 * and knows by the check that it is no example.
 */
export interface MachineTokenParts {
  readonly id: string;
  readonly secret: string;
}

const TOKEN = /^(entrepot_(?<id>[0-9a-f]{16})_(?<secret>[A-Za-z0-9_-]{43}))(?<check>[0-9a-f]{6})$/;

export function formatMachineToken({ id, secret }: MachineTokenParts): string {
  const text = `entrepot_${id}_${secret}`;
  return `${text}${checkOf(text)}`;
}

/** `undefined` for what is none, or was copied wrongly. */
export function parseMachineToken(text: string): MachineTokenParts | undefined {
  const match = TOKEN.exec(text);
  const { id, secret, check } = match?.groups ?? {};
  if (id === undefined || secret === undefined || check !== checkOf(match?.[1] ?? '')) return undefined;
  return { id, secret };
}

export const isMachineToken = (text: string): boolean => parseMachineToken(text) !== undefined;

/** What may be a machine token's name: words in lower case, with `-`, `_` and `.` between them; at most 64 characters. */
export function isMachineTokenName(text: string): boolean {
  return text.length <= 64 && /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(text);
}

function checkOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 6);
}
