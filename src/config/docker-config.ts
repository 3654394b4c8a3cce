import type { Account } from './config.ts';
import { Secret } from './secret.ts';

/** The key under which docker keeps the account of docker.io. */
const HUB_KEYS = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'];

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
  const broken = 'expected the JSON of a docker config.json';
  try {
    const parsed: unknown = JSON.parse(text);
    const auths = isRecord(parsed) ? (parsed['auths'] ?? {}) : undefined;
    return isRecord(auths) ? new Map(Object.entries(auths)) : broken;
  } catch {
    // The parser's own message quotes the text, which holds passwords.
    return broken;
  }
}

/** `ghcr.io/acme/team` may be signed in to as that, as `ghcr.io/acme`, or as `ghcr.io`. */
function candidates(prefix: string): string[] {
  const segments = prefix.split('/');
  const names = segments.map((_, index) => segments.slice(0, segments.length - index).join('/'));
  return segments[0] === 'docker.io' ? [...names.slice(0, -1), ...HUB_KEYS] : names;
}

function decode(entry: unknown): Account | string {
  if (!isRecord(entry)) return 'expected the JSON of a docker config.json';
  if (typeof entry['identitytoken'] === 'string' && entry['identitytoken'] !== '') {
    return 'holds an identity token for it, which is not built yet: sign in with a password or an access token';
  }
  const auth = typeof entry['auth'] === 'string' ? Buffer.from(entry['auth'], 'base64').toString('utf8') : '';
  const colon = auth.indexOf(':');
  const username = colon > 0 ? auth.slice(0, colon) : entry['username'];
  const password = colon > 0 ? auth.slice(colon + 1) : entry['password'];
  if (typeof username !== 'string' || typeof password !== 'string' || username === '' || password === '') {
    return 'holds no username and password for it';
  }
  return { username, password: new Secret(password) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
