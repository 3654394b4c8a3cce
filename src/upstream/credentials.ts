import { createHash } from 'node:crypto';

/** How we sign in to an upstream. `account` tells several of one registry apart, where there are several. */
export type Credentials = { readonly account?: string } & (
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** docker's `identitytoken`: a refresh token, exchanged at the token endpoint (distribution-spec auth/oauth.md). */
  | { readonly kind: 'identity'; readonly username: string; readonly token: string }
  /** docker's `registrytoken`: goes to the registry as it is (OpenShift, zot). */
  | { readonly kind: 'bearer'; readonly token: string }
);

/**
 * Asked before every question that may need them, so that a secret that changed is used at once; whatever is dear to get is
 * kept by the provider. `undefined`: anonymous for this repository. `isRefused` tells what is not worth giving again.
 * Rejects with {@link CredentialsUnavailable}, in bounded time.
 */
export type CredentialsProvider = (
  repository: string,
  isRefused: (credentials: Credentials) => boolean,
) => Promise<Credentials | undefined>;

/**
 * There should be credentials and none could be had: a helper that failed, an endpoint that is down or says no. `message`
 * goes on from "no credentials: " and holds no secret.
 */
export class CredentialsUnavailable extends Error {
  override readonly name = 'CredentialsUnavailable';
  /** Whoever gives them out said no: not to be asked again soon. */
  readonly refused: boolean;
  /** As in {@link Credentials}. */
  readonly account: string;

  constructor(message: string, options: { readonly refused?: boolean; readonly account?: string } = {}) {
    super(message);
    this.refused = options.refused ?? false;
    this.account = options.account ?? '';
  }
}

/** Names a secret without telling it: a rotated secret has another one (S05). Anonymous is the empty string. */
export function fingerprint(credentials: Credentials | undefined): string {
  if (credentials === undefined) return '';
  const username = credentials.kind === 'bearer' ? '' : credentials.username;
  return createHash('sha256')
    .update(JSON.stringify([credentials.kind, username, secretOf(credentials)]))
    .digest('hex');
}

/** RFC 7617; a bearer token goes as RFC 6750 has it. */
export function authorizationOf(credentials: Credentials): string {
  if (credentials.kind === 'bearer') return `Bearer ${credentials.token}`;
  return `Basic ${Buffer.from(`${credentials.username}:${secretOf(credentials)}`).toString('base64')}`;
}

function secretOf(credentials: Credentials): string {
  return credentials.kind === 'password' ? credentials.password : credentials.token;
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
