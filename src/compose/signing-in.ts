import type { SubjectPattern } from '../auth/access.ts';
import { attemptsHere } from '../auth/attempts.ts';
import { createAuth, type Auth, type TokenEndpoint } from '../auth/auth.ts';
import type { ChallengeKind } from '../auth/challenge.ts';
import { createHashing } from '../auth/hashing.ts';
import { createHtpasswd, type Htpasswd } from '../auth/htpasswd.ts';
import { stands, type Ways } from '../auth/identify.ts';
import { createOwnTokens } from '../auth/own-tokens.ts';
import { createRefreshTokens } from '../auth/refresh-tokens.ts';
import { createKeyRing } from '../auth/signing-keys.ts';
import { createForeignTokens } from '../auth/foreign-tokens.ts';
import type { Identity } from '../auth/subject.ts';
import { createSignInTokens, type FetchJson } from '../auth/oidc.ts';
import { createTokenEndpoint, type ScopeName } from '../auth/token-endpoint.ts';
import { readTrustedKeys } from '../auth/trusted-keys.ts';
import type { ForeignTokens, SignInTokens } from '../auth/ways.ts';
import type { AuthConfig, OidcConfig, TokenConfig } from '../config/auth-config.ts';
import type { Config } from '../config/config.ts';
import { RegistryError } from '../oci/errors.ts';
import { createNameParser, type Name } from '../pull/name.ts';
import { passesOn } from './passes-on.ts';
import type { Clock } from '../system/clock.ts';
import { accessOf } from './access.ts';
import type { AuthenticationParts } from './authentication.ts';
import { nameOptions } from './names.ts';

/** Every way to say who one is, as one configuration after the other says. What was proved, and who was wrong too often, carries over. */
export interface SigningIn {
  /** As {@link import('./authentication.ts').Authentication.authOf}. */
  authOf(config: Config, auth: AuthConfig): Promise<Auth>;
}

export function createSigningIn(parts: AuthenticationParts): SigningIn {
  const { system, records, machineTokens, fetchJson, report } = parts;
  const { clock } = system;
  const attempts = parts.attempts ?? attemptsHere(clock);
  const hashing = createHashing({ clock });
  const keys = createKeyRing({ ...system, records: records.signingKeys });
  let issuers: { readonly of: string; readonly tokens: SignInTokens | undefined } | undefined;
  let passwords: { readonly path: string; readonly users: Htpasswd } | undefined;
  const refresh = createRefreshTokens({
    ...system,
    records: records.refreshTokens,
    stands: (subject, fingerprint) => stands(subject, fingerprint, { passwords: passwords?.users, machineTokens }),
    isMissing: (subject) => subject.kind === 'user' && passwords?.users.fingerprint(subject.name) === undefined,
  });

  /** One file, one set of users: a reload that names the same one forgets nothing. */
  async function passwordsOf(path: string): Promise<Htpasswd> {
    const users = passwords?.path === path ? passwords.users : createHtpasswd({ ...system, hashing, attempts, path, report });
    await users.load();
    passwords = { path, users };
    return users;
  }

  return {
    async authOf(config, auth) {
      const access = accessOf(config);
      const openHosts = config.names.open;
      const users = auth.htpasswd && (await passwordsOf(auth.htpasswd.path));
      if (users === undefined) passwords = undefined;
      const own = createOwnTokens({ ...system, keys, lifetimeSeconds: Math.floor(auth.lifetime / 1000) });
      // Keys that an issuer has told are known for as long as nobody speaks of another one.
      const written = JSON.stringify([...auth.oidc]);
      if (issuers?.of !== written) issuers = { of: written, tokens: signInTokensOf(auth.oidc, fetchJson, clock) };
      const signInTokens = issuers.tokens;
      const foreign = auth.token && foreignTokensOf(auth.token, access.hasRules, clock);
      const ways: Ways = { passwords: users, machineTokens, signInTokens, own, foreign };
      const parseName = createNameParser(nameOptions(config));
      const named = (spelt: ScopeName): RepositoryName | undefined => nameOf(parseName, config.http.prefix, spelt);
      const anyoneMayPull = (spelt: ScopeName): boolean => {
        const name = named(spelt);
        return name !== undefined && access.isOpen(`${name.registry}/${name.repository}`);
      };
      const passes = passesOn(config);
      const registryPassedTo = (spelt: ScopeName): string | undefined => {
        const name = named(spelt);
        return name !== undefined && passes(`${name.registry}/${name.repository}`) ? name.registry : undefined;
      };
      // Where clients are sent elsewhere for their tokens, none is given out here.
      const token: TokenEndpoint | undefined =
        foreign === undefined
          ? createTokenEndpoint({
              ...ways,
              own,
              refresh,
              path: tokenPath(config),
              anyoneMayPull,
              passesOn: registryPassedTo,
              report,
            })
          : undefined;
      return createAuth({ access, challenge: challengeOf(auth, config), ways, openHosts, token, report });
    },
  };
}

/** For `check`: rejects with what is wrong with the files that `auth` names. */
export async function proveAuthFiles({ auth, access }: Config, system: AuthenticationParts['system']): Promise<void> {
  const hashing = createHashing(system);
  const report = (): void => undefined;
  if (auth?.htpasswd !== undefined) await createHtpasswd({ ...system, hashing, path: auth.htpasswd.path, report }).load();
  if (auth?.token !== undefined) foreignTokensOf(auth.token, access.rules !== undefined, system.clock);
}

type RepositoryName = Pick<Name, 'registry' | 'repository'>;

/** `undefined` where that is no name. */
function nameOf(
  parseName: ReturnType<typeof createNameParser>,
  prefix: string,
  { name, host, ns }: ScopeName,
): RepositoryName | undefined {
  const query = ns === undefined ? '' : `?ns=${encodeURIComponent(ns)}`;
  try {
    const parsed = parseName(`${prefix}/v2/${name}/tags/list${query}`, host);
    return parsed.kind === 'tags' ? parsed.name : undefined;
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

function signInTokensOf(oidc: ReadonlyMap<string, OidcConfig>, fetchJson: FetchJson, clock: Clock): SignInTokens | undefined {
  if (oidc.size === 0) return undefined;
  const issuers = [...oidc].map(([name, { issuer, audience, jwks }]) => ({
    name,
    issuer,
    audience,
    ...(jwks === undefined ? {} : { jwks: () => Promise.resolve(jwks) }),
  }));
  return createSignInTokens({ issuers, fetchJson, clock });
}

/** Throws Error for files without a key that could be used. */
function foreignTokensOf(
  { issuer, service, certificates, jwks, algorithms }: TokenConfig,
  hasRules: boolean,
  clock: Clock,
): ForeignTokens {
  const read = readTrustedKeys({
    ...(certificates === undefined ? {} : { rootcertbundle: certificates }),
    ...(jwks === undefined ? {} : { jwks }),
  });
  if (read.kind === 'fault') throw new Error(`auth.token.${read.of}: ${read.reason}`);
  const tokens = createForeignTokens({
    issuer,
    service,
    keys: read.keys,
    clock,
    ...(algorithms === undefined ? {} : { algorithms }),
  });
  return hasRules ? tokens : { verify: async (token) => named(await tokens.verify(token)) };
}

/**
 * Without rules the token server alone says who may what, as at the official registry: whoever it gave a token to nameless is
 * signed in for what that token is for.
 */
function named(identity: Identity | undefined): Identity | undefined {
  return identity?.subject.kind === 'anyone' ? { ...identity, subject: { kind: 'user', name: 'anonymous' } } : identity;
}

/**
 * How clients are told to sign in (contract, `GET /v2/`): for a token where rules speak of somebody whom only a token can be,
 * or of nobody in particular, which takes one too; else for a password, which every client has.
 */
function challengeOf({ htpasswd, token }: AuthConfig, { access, http }: Config): ChallengeKind {
  if (token !== undefined) return { ...token, kind: 'foreign' };
  const named = (access.rules ?? []).flatMap(({ allow }) => Object.values(allow).flat());
  if (htpasswd !== undefined && !named.some(takesToken)) return { kind: 'basic', realm: htpasswd.realm };
  return { kind: 'own', path: tokenPath({ http }) };
}

function tokenPath({ http }: Pick<Config, 'http'>): string {
  return `${http.prefix}/token`;
}

function takesToken({ kind }: SubjectPattern): boolean {
  return kind === 'anyone' || kind === 'group' || kind === 'token' || kind === 'oidc';
}
