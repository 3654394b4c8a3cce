import { AdminError } from './admin-error.ts';

/** Machine tokens, as this room needs them (`auth/machine-tokens.ts`). Times are ms since the epoch. */
export interface TokenKeeping {
  create(
    name: string,
    lifetimeMs: number | undefined,
  ): Promise<(TokenTimes & { readonly name: string; readonly text: string }) | 'taken' | 'full'>;
  list(): Promise<readonly (TokenTimes & { readonly name: string })[]>;
  revoke(name: string): Promise<(TokenTimes & { readonly name: string }) | undefined>;
  isName(text: string): boolean;
}

interface TokenTimes {
  readonly created: number;
  readonly expires?: number;
  readonly used?: number;
}

/** A machine token as it is listed; times as ISO 8601. */
export interface TokenView {
  readonly name: string;
  readonly created: string;
  /** `undefined`: never. */
  readonly expires?: string;
  /** `undefined`: never. */
  readonly lastUse?: string;
  readonly expired: boolean;
}

export interface CreatedToken extends TokenView {
  /** The token itself; nobody can be told it again. */
  readonly token: string;
}

export interface TokenRequest {
  readonly name: string;
  /** `undefined`: it does not expire. */
  readonly lifetimeMs: number | undefined;
}

export interface TokenOptions {
  readonly clock: { now(): number };
  readonly tokens: TokenKeeping;
}

/** Throws AdminError where the name is taken, or can be none. */
export async function createToken({ clock, tokens }: TokenOptions, { name, lifetimeMs }: TokenRequest): Promise<CreatedToken> {
  if (!tokens.isName(name)) throw noName();
  if (lifetimeMs !== undefined && !(lifetimeMs >= LIFETIME_MS_MIN && lifetimeMs <= LIFETIME_MS_MAX))
    throw new AdminError('a token lives for at least a minute and at most a hundred years: 90d, 12h');
  const created = await tokens.create(name, lifetimeMs);
  if (created === 'taken') throw new AdminError(`there is a token ${name}: revoke it first, or take another name`);
  if (created === 'full')
    throw new AdminError('there are too many tokens: revoke those that nobody uses ("entrepot token list")');
  return { ...viewOf(clock.now())(created), token: created.text };
}

const LIFETIME_MS_MIN = 60_000;
const LIFETIME_MS_MAX = 100 * 365 * 86_400_000;

/** By name; those that have expired too. */
export async function listTokens({ clock, tokens }: TokenOptions): Promise<readonly TokenView[]> {
  return (await tokens.list()).map(viewOf(clock.now()));
}

/** From the next request on it is refused. Throws AdminError where there is none of that name. */
export async function revokeToken({ clock, tokens }: TokenOptions, name: string): Promise<TokenView> {
  if (!tokens.isName(name)) throw noName();
  const revoked = await tokens.revoke(name);
  if (revoked === undefined)
    throw new AdminError(`there is no token ${name}: "entrepot token list" names those that there are`);
  return viewOf(clock.now())(revoked);
}

/** What was said instead is not repeated: somebody may have said the token. */
function noName(): AdminError {
  return new AdminError('a token is named by words in lower case with - _ or . between them, at most 64 characters: ci-build');
}

const viewOf =
  (now: number) =>
  ({ name, created, expires, used }: TokenTimes & { readonly name: string }): TokenView => ({
    name,
    created: new Date(created).toISOString(),
    ...(expires === undefined ? {} : { expires: new Date(expires).toISOString() }),
    ...(used === undefined ? {} : { lastUse: new Date(used).toISOString() }),
    expired: expires !== undefined && expires <= now,
  });
