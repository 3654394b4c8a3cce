import { RegistryError } from '../oci/errors.ts';
import type { Asking } from './auth.ts';
import { audienceOf, challengeField, type ChallengeKind, type TokenFault } from './challenge.ts';
import type { AskedBy, ReportAuth, SignInEvent } from './events.ts';
import { isPassable } from './passable.ts';
import { NOBODY, type Identity, type PassedOn, type Scope, type Subject } from './subject.ts';
import type { ForeignTokens, MachineTokens, OwnTokens, Passwords, SignInTokens } from './ways.ts';

/** The ways that there are here. */
export interface Ways {
  readonly passwords: Passwords | undefined;
  readonly machineTokens: MachineTokens | undefined;
  readonly signInTokens: SignInTokens | undefined;
  readonly own: OwnTokens | undefined;
  readonly foreign: ForeignTokens | undefined;
}

export const NO_WAYS: Ways = {
  passwords: undefined,
  machineTokens: undefined,
  signInTokens: undefined,
  own: undefined,
  foreign: undefined,
};

export interface IdentifyOptions {
  /** By the field `Host`; `undefined`: nobody is asked there who they are, and what they send is not looked at. */
  readonly challengeOf: (host: string | undefined) => ChallengeKind | undefined;
  readonly ways: Ways;
  readonly report: ReportAuth;
}

export const ASKS_WHO = 'this registry asks who you are: sign in with docker login';

/** Who sends a request; see {@link import('./auth.ts').Auth.identify}. */
export function createIdentify(options: IdentifyOptions): (asking: Asking) => Promise<Identity> {
  const { challengeOf, ways, report } = options;
  return async (asking) => {
    const challenge = challengeOf(asking.host);
    const passed = passedOn(asking);
    if (challenge === undefined) {
      const nobody = byCertificate(asking, report) ?? NOBODY;
      const { credentials } =
        passed.credentials === undefined ? passed : await recognized(passed.credentials, asking, ways, MUTE);
      return credentials === undefined ? nobody : { ...nobody, credentials };
    }
    if (asking.authorization === undefined) {
      const certified = byCertificate(asking, report);
      if (certified !== undefined) return certified;
      throw unauthorized(ASKS_WHO, challenge, asking);
    }
    const credentials = parseCredentials(asking.authorization);
    if (credentials === undefined) throw unauthorized('the Authorization of the request cannot be read', challenge, asking);
    if (passed.credentials !== undefined) return recognized(passed.credentials, asking, ways, report);
    const found = await (credentials.kind === 'basic'
      ? byPassword(credentials, asking, ways, report)
      : byToken(credentials.token, asking, ways, report));
    if (found !== undefined) return found;
    const isToken = credentials.kind === 'bearer';
    const message = isToken
      ? 'the token has expired, was revoked, or is for another registry'
      : 'user and password are not known here';
    throw unauthorized(message, challenge, asking, undefined, isToken ? 'invalid_token' : undefined);
  };
}

/** Credentials that an upstream may know: what they are worth is not ours to say. */
function passedOn({ authorization, passesOn }: Asking): Pick<Identity, 'credentials'> {
  const credentials = authorization === undefined ? undefined : parseCredentials(authorization);
  if (credentials?.kind !== 'basic' || !passesOn()) return {};
  const { username, password } = credentials;
  return { credentials: { username, password } };
}

/**
 * Somebody of ours all the same, or nobody whose credentials go on. Who is not is no guesser, and who cannot be asked now stands in
 * nobody's way.
 */
async function recognized(credentials: PassedOn, asking: Asking, ways: Ways, report: ReportAuth): Promise<Identity> {
  const { username, password } = credentials;
  const subject = await subjectOf(username, password, asking, recognizing(ways), onlyKnown(report)).catch(() => UNHEARD);
  if (subject !== undefined && subject !== UNHEARD) return { subject, scopes: undefined };
  return isPassable(credentials, ways, subject === UNHEARD) ? { ...NOBODY, credentials } : NOBODY;
}

/** Whose they are could not be found out. */
export const UNHEARD = 'unheard' as const;

const MUTE: ReportAuth = () => undefined;

/** Passwords that may be meant for another registry. */
export function recognizing<T extends Pick<Ways, 'passwords'>>(ways: T): T {
  const { passwords } = ways;
  return { ...ways, passwords: passwords && { ...passwords, verify: passwords.recognize } };
}

/** That they are not known here is no failure, and nothing to tell of. */
export function onlyKnown(report: ReportAuth): ReportAuth {
  return (event) => {
    if (event.kind !== 'sign-in' || event.result === 'ok') report(event);
  };
}

function byCertificate(asking: Asking, report: ReportAuth): Identity | undefined {
  const { certificate, requestId, client } = asking;
  if (certificate === undefined) return undefined;
  report({ kind: 'sign-in', way: 'certificate', result: 'ok', requestId, client, user: certificate });
  return { subject: { kind: 'user', name: certificate }, scopes: undefined };
}

async function byPassword(
  { username, password }: { readonly username: string; readonly password: string },
  asking: Asking,
  ways: Ways,
  report: ReportAuth,
): Promise<Identity | undefined> {
  const subject = await subjectOf(username, password, asking, ways, report);
  return subject && { subject, scopes: undefined };
}

/**
 * Whose a name and a password are, whichever kind of secret stands in the password's place. `undefined`: nobody's. Rejects with
 * 429 where nobody is heard now.
 */
export async function subjectOf(
  username: string,
  password: string,
  asking: AskedBy,
  { passwords, machineTokens, signInTokens }: Pick<Ways, 'passwords' | 'machineTokens' | 'signInTokens'>,
  report: ReportAuth,
): Promise<Subject | undefined> {
  if (machineTokens?.isOne(password) === true)
    return told('machine-token', asking, report, () => machineTokens.verify(password));
  if (signInTokens?.isOne(password) === true) return told('sign-in-token', asking, report, () => signInTokens.verify(password));
  if (passwords === undefined) return undefined;
  const user = passwords.fingerprint(username) === undefined ? undefined : username;
  return told('password', asking, report, () => passwords.verify(username, password, asking.client), user);
}

async function byToken(token: string, asking: Asking, ways: Ways, report: ReportAuth): Promise<Identity | undefined> {
  const { machineTokens, own, foreign } = ways;
  if (machineTokens?.isOne(token) === true) {
    const subject = await told('machine-token', asking, report, () => machineTokens.verify(token));
    return subject && { subject, scopes: undefined };
  }
  if (own !== undefined && (await own.isOne(token))) {
    const proven = await own.verify(token, audienceOf(asking.publicUrl) ?? '');
    // A token of ours says what was so when it was issued: whether that still is, is asked each time.
    return proven !== undefined && (await stands(proven.identity.subject, proven.fingerprint, ways))
      ? proven.identity
      : refusedToken(asking, report);
  }
  if (foreign === undefined) return refusedToken(asking, report);
  return told('token', asking, report, () => foreign.verify(token));
}

/** That one of ours is good says nothing new: who signed in with what was told as it was issued. */
function refusedToken({ requestId, client }: Asking, report: ReportAuth): undefined {
  report({ kind: 'sign-in', way: 'token', result: 'refused', requestId, client, user: undefined });
}

/** Whether somebody is still who they once proved to be: not revoked, not gone, and with the same password. */
export async function stands(
  subject: Subject,
  fingerprint: string | undefined,
  { passwords, machineTokens }: Pick<Ways, 'passwords' | 'machineTokens'>,
): Promise<boolean> {
  switch (subject.kind) {
    case 'user':
      return passwords !== undefined && fingerprint !== undefined && (await passwords.stands(subject.name, fingerprint));
    case 'token':
      return machineTokens !== undefined && (await machineTokens.stands(subject.id));
    default:
      return true;
  }
}

async function told<T>(
  way: SignInEvent['way'],
  { requestId, client }: AskedBy,
  report: ReportAuth,
  ask: () => Promise<T | undefined>,
  user?: string,
): Promise<T | undefined> {
  const tell = (result: SignInEvent['result']): void => report({ kind: 'sign-in', way, result, requestId, client, user });
  try {
    const found = await ask();
    tell(found === undefined ? 'refused' : 'ok');
    return found;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 429) tell('limited');
    throw error;
  }
}

export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };

/** RFC 7617 2 and RFC 6750 2.1; `undefined` for any other scheme, and for what does not keep to its own. */
export function parseCredentials(authorization: string): Credentials | undefined {
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +([A-Za-z0-9._~+/=-]+)$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', token: value };
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const text = Buffer.from(value, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** 401, with the way to do better. */
export function unauthorized(
  message: string,
  challenge: ChallengeKind,
  asking: Asking,
  scope?: Scope,
  fault?: TokenFault,
): RegistryError {
  const field = challengeField(challenge, asking, scope, fault);
  return new RegistryError('UNAUTHORIZED', message, field === undefined ? {} : { headers: { 'www-authenticate': field } });
}
