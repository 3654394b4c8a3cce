import type { Account } from './config.ts';
import { Secret } from './secret.ts';

/** The key under which docker keeps the account of docker.io. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'];

const BROKEN = 'expected the JSON of a docker config.json';

/**
 * The account for a registry, or a part of one, in the text of a docker `config.json`: the longest entry that fits. A
 * string is what is wrong with it, said without its contents.
 */
export function accountOf(text: string, prefix: string): Account | string {
  const auths = authsOf(text);
  if (typeof auths === 'string') return auths;
  for (const name of candidates(prefix)) {
    const entry =
      auths.get(name) ?? auths.get(`https://${name}`) ?? auths.get(`https://${name}/`) ?? auths.get(`https://${name}/v2/`);
    if (entry !== undefined) return decode(entry);
  }
  return `expected an entry for ${prefix} under its "auths" (credential helpers are not asked)`;
}

function authsOf(text: string): Map<string, unknown> | string {
  try {
    const parsed: unknown = JSON.parse(text);
    const auths = isRecord(parsed) ? (parsed['auths'] ?? {}) : undefined;
    return isRecord(auths) ? new Map(Object.entries(auths)) : BROKEN;
  } catch {
    // The parser's own message quotes the text, which holds passwords.
    return BROKEN;
  }
}

/** `ghcr.io/acme/team` may be signed in to as that, as `ghcr.io/acme`, or as `ghcr.io`. */
function candidates(prefix: string): string[] {
  const segments = prefix.split('/');
  const names = segments.map((_, index) => segments.slice(0, segments.length - index).join('/'));
  return segments[0] === 'docker.io' ? [...names.slice(0, -1), ...HUB_KEYS] : names;
}

/** `auth` is base64 of `user:password`; old files write them apart, and `identitytoken` goes before both. */
function decode(entry: unknown): Account | string {
  if (!isRecord(entry)) return BROKEN;
  const pair = Buffer.from(textOf(entry['auth']) ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  const username = colon > 0 ? pair.slice(0, colon) : textOf(entry['username']);
  const password = colon > 0 ? pair.slice(colon + 1) : textOf(entry['password']);
  const token = textOf(entry['identitytoken']);
  if (token !== undefined) return { kind: 'identity', username: username ?? '<token>', token: new Secret(token) };
  if (username === undefined || password === undefined || password === '') return 'holds no username and password for it';
  return { kind: 'password', username, password: new Secret(password) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
