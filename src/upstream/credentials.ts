import { createHash } from 'node:crypto';

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
