import { createHash } from 'node:crypto';

import { isObject } from '../oci/json.ts';

/** How we sign in to an upstream. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** docker's `identitytoken`: a refresh token, exchanged at the token endpoint (distribution-spec auth/oauth.md). */
  | { readonly kind: 'identity'; readonly username: string; readonly token: string };

/** Asked before every sign-in, so that a secret that changed is used at once. `undefined`: anonymous for this repository. */
export type CredentialsProvider = (repository: string) => Promise<Credentials | undefined>;

/** Names a secret without telling it: a rotated secret has another one (S05). Anonymous is the empty string. */
export function fingerprint(credentials: Credentials | undefined): string {
  if (credentials === undefined) return '';
  const secret = credentials.kind === 'password' ? credentials.password : credentials.token;
  return createHash('sha256')
    .update(JSON.stringify([credentials.kind, credentials.username, secret]))
    .digest('hex');
}

/** RFC 7617. */
export function basicAuthorization(credentials: Credentials): string {
  const secret = credentials.kind === 'password' ? credentials.password : credentials.token;
  return `Basic ${Buffer.from(`${credentials.username}:${secret}`).toString('base64')}`;
}

/**
 * The entry for `registry/repository` whose key is its longest prefix by whole segments: `ghcr.io/acme` covers
 * `ghcr.io/acme/tool` and not `ghcr.io/acmetools`.
 */
export function longestPrefix<T>(entries: Readonly<Record<string, T>>, registry: string, repository: string): T | undefined {
  let name = repository === '' ? registry : `${registry}/${repository}`;
  for (;;) {
    if (Object.hasOwn(entries, name)) return entries[name];
    const slash = name.lastIndexOf('/');
    if (slash < 0) return undefined;
    name = name.slice(0, slash);
  }
}

/**
 * The `auths` of a docker `config.json` by registry or `registry/path`. Keys may be URLs; Docker Hub's is
 * `https://index.docker.io/v1/`. Throws where the text is not such a file; entries without a secret are left out.
 */
export function readDockerConfig(text: string): Readonly<Record<string, Credentials>> {
  const config: unknown = JSON.parse(text);
  const auths = isObject(config) ? (config['auths'] ?? {}) : undefined;
  if (!isObject(auths)) throw new Error('a docker config.json has an object under "auths"');
  const found: Record<string, Credentials> = Object.create(null) as Record<string, Credentials>;
  for (const [key, entry] of Object.entries(auths)) {
    const credentials = isObject(entry) ? readAuth(entry) : undefined;
    if (credentials !== undefined) found[registryOfKey(key)] = credentials;
  }
  return found;
}

function readAuth(entry: Readonly<Record<string, unknown>>): Credentials | undefined {
  const pair =
    typeof entry['auth'] === 'string' ? Buffer.from(entry['auth'], 'base64').toString('utf8').replace(/\0+$/, '') : '';
  const colon = pair.indexOf(':');
  const username = text(entry['username']) ?? (colon > 0 ? pair.slice(0, colon) : undefined);
  const password = text(entry['password']) ?? (colon > 0 ? pair.slice(colon + 1) : undefined);
  const token = text(entry['identitytoken']);
  if (token !== undefined) return { kind: 'identity', username: username ?? '<token>', token };
  if (username === undefined || password === undefined) return undefined;
  return { kind: 'password', username, password };
}

function registryOfKey(key: string): string {
  const bare = key.replace(/^https?:\/\//, '').replace(/\/(v1|v2)?\/?$/, '');
  return bare === 'index.docker.io' || bare === 'registry-1.docker.io' ? 'docker.io' : bare;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
