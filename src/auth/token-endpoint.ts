import { RegistryError } from '../oci/errors.ts';
import { formatChallenge } from '../oci/challenge.ts';
import { formatScope, type Scope } from '../oci/scope.ts';
import type { TokenAnswer, TokenEndpoint, TokenQuestion } from './auth.ts';
import { audienceOf } from './challenge.ts';
import type { ReportAuth } from './events.ts';
import { onlyKnown, recognizing, subjectOf, UNHEARD } from './identify.ts';
import { isPassable } from './passable.ts';
import { ANYONE, type PassedOn, type Subject } from './subject.ts';
import { readForm, readQuery, type Asked, type FormFault, type TokenCredentials } from './token-question.ts';
import type { MachineTokens, OwnTokens, Passwords, RefreshTokens, SignInTokens } from './ways.ts';

/** A repository as a scope spells it, on that Host, and under the `ns` that its challenge came with. */
export interface ScopeName {
  readonly name: string;
  readonly host: string | undefined;
  readonly ns: string | undefined;
}

export interface TokenEndpointOptions {
  readonly passwords: Passwords | undefined;
  readonly machineTokens: MachineTokens | undefined;
  readonly signInTokens: SignInTokens | undefined;
  readonly own: OwnTokens;
  readonly refresh: RefreshTokens;
  /** Where it is itself: `/token`. */
  readonly path: string;
  /** Whether everybody may pull it. */
  readonly anyoneMayPull: (name: ScopeName) => boolean;
  /** The registry for which credentials that nobody knows here are passed on for it (`passthrough`); `undefined`: none. */
  readonly passesOn: (name: ScopeName) => string | undefined;
  readonly report: ReportAuth;
}

/** Somebody who has proved who they are, or nobody. */
interface Known {
  readonly subject: Subject;
  readonly fingerprint: string | undefined;
  readonly credentials?: PassedOn | undefined;
}

const NOBODY_KNOWN: Known = { subject: ANYONE, fingerprint: undefined };
const WRONG = 'user and password are not known here';

/**
 * `GET` and `POST /token`. It grants the scopes as they are asked for: what their bearer may, the rules say at each request.
 * Who may not be let in is told so by a RegistryError, or for a form as RFC 6749 5.2 has it.
 */
export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  return async (question) => {
    const audience = audienceOf(question.publicUrl);
    if (audience === undefined)
      throw new RegistryError('UNSUPPORTED', 'the Host of the request is no address', { status: 400 });
    const asked = question.method === 'POST' ? readForm(question) : readQuery(question);
    if (asked.kind === 'fault') return formFault(asked);
    const known = await whoAsks(asked, question, audience, options);
    if (known === undefined) return refuse(question, options.path);
    return grant(known, asked, question, audience, options);
  };
}

/** `undefined`: credentials that are nobody's. */
async function whoAsks(
  asked: Asked,
  question: TokenQuestion,
  audience: string,
  options: TokenEndpointOptions,
): Promise<Known | undefined> {
  const { credentials } = asked;
  if (credentials === undefined) return NOBODY_KNOWN;
  if (!isForAnyone(asked, question, options)) return prove(credentials, question, audience, options);
  // dockerd sends its login to Docker Hub with every question: that counts apart, and is no fault. But who is known is not nobody,
  // since a scope does not say all of what is asked for: under `ns` or another Host its name may be what only they may have.
  // Nor does who cannot be asked now stand in the way of what anyone may have.
  const quiet = { ...recognizing(options), report: onlyKnown(options.report) };
  const known = await prove(credentials, question, audience, quiet).catch(() => UNHEARD);
  if (known !== undefined && known !== UNHEARD) return known;
  return { ...NOBODY_KNOWN, ...passedOn(credentials, asked, question, options, known === UNHEARD) };
}

/** What an upstream may know goes with the token, to be shown to it. */
function passedOn(
  credentials: TokenCredentials,
  { scopes: { scopes } }: Asked,
  question: TokenQuestion,
  options: TokenEndpointOptions,
  unheard: boolean,
): Pick<Known, 'credentials'> {
  if (credentials.kind !== 'password' || options.refresh.isOne(credentials.password)) return {};
  if (!isPassable(credentials, options, unheard)) return {};
  const registries = scopes.flatMap(({ name }) => options.passesOn(nameIn(question, name)) ?? []);
  if (registries.length === 0) return {};
  const { username, password } = credentials;
  return { credentials: { username, password, registries: [...new Set(registries)] } };
}

/** Whether all that is asked for is what anyone may have. Who signs in asks for no scope, or for a refresh token. */
function isForAnyone({ scopes: { scopes, unread }, isOffline }: Asked, question: TokenQuestion, options: TokenEndpointOptions) {
  if (isOffline || unread > 0 || scopes.length === 0) return false;
  return scopes.every(
    ({ type, name, actions }) =>
      type === 'repository' &&
      actions.length > 0 &&
      actions.every((action) => action === 'pull') &&
      options.anyoneMayPull(nameIn(question, name)),
  );
}

function nameIn({ host, parameters }: TokenQuestion, name: string): ScopeName {
  return { name, host, ns: parameters.get('ns') ?? undefined };
}

async function prove(
  credentials: TokenCredentials,
  question: TokenQuestion,
  audience: string,
  options: TokenEndpointOptions,
): Promise<Known | undefined> {
  if (credentials.kind === 'unreadable') return undefined;
  const secret = credentials.kind === 'secret' ? credentials.secret : credentials.password;
  if (options.refresh.isOne(secret)) {
    const known = await options.refresh.verify(secret, audience);
    const { requestId, client } = question;
    const result = known === undefined ? 'refused' : 'ok';
    options.report({ kind: 'sign-in', way: 'refresh-token', result, requestId, client, user: undefined });
    return known;
  }
  if (credentials.kind === 'secret')
    return withoutPassword(await subjectOf('', secret, question, { ...options, passwords: undefined }, options.report));
  return byName(credentials, question, options);
}

async function byName(
  { username, password }: { readonly username: string; readonly password: string },
  question: TokenQuestion,
  options: TokenEndpointOptions,
): Promise<Known | undefined> {
  const { passwords, report } = options;
  const before = passwords?.fingerprint(username);
  const subject = await subjectOf(username, password, question, options, report);
  if (subject?.kind !== 'user') return withoutPassword(subject);
  const fingerprint = passwords?.fingerprint(subject.name);
  // Their password was changed while it was looked at: which of the two was right nobody can tell.
  return before !== undefined && before !== fingerprint ? undefined : { subject, fingerprint };
}

function withoutPassword(subject: Subject | undefined): Known | undefined {
  return subject && { subject, fingerprint: undefined };
}

async function grant(
  known: Known,
  asked: Asked,
  question: TokenQuestion,
  audience: string,
  { own, refresh }: TokenEndpointOptions,
): Promise<TokenAnswer> {
  const { scopes } = asked.scopes;
  const { token, expiresIn, issuedAt } = await own.issue({ ...known, scopes, audience });
  const isKept = asked.isOffline && canComeBack(known.subject);
  const body = {
    token,
    access_token: token,
    expires_in: expiresIn,
    issued_at: new Date(issuedAt).toISOString(),
    ...(question.method === 'POST' ? { scope: scopeText(scopes) } : {}),
    ...(isKept ? { refresh_token: await refresh.issue({ ...known, audience }) } : {}),
  };
  return { status: 200, body, headers: NOT_KEPT };
}

/** Of a sign-in token its issuer says how long it is good: minutes. Nobody could tell us later that it should not have been. */
function canComeBack({ kind }: Subject): boolean {
  return kind === 'user' || kind === 'token';
}

/** RFC 6749 5.1. */
const NOT_KEPT = { 'cache-control': 'no-store', pragma: 'no-cache' };

function scopeText(scopes: readonly Scope[]): string {
  return scopes.map(formatScope).join(' ');
}

function refuse({ method, publicUrl }: TokenQuestion, path: string): TokenAnswer {
  if (method === 'POST') return formFault({ kind: 'fault', error: 'invalid_grant', message: WRONG });
  const challenge = formatChallenge({ scheme: 'Basic', realm: `${publicUrl}${path}` });
  throw new RegistryError('UNAUTHORIZED', WRONG, { headers: { ...NOT_KEPT, 'www-authenticate': challenge } });
}

/**
 * RFC 6749 5.2, and beside it the error as clients of registries read it: docker would print "no error details found" and
 * the whole of the JSON.
 */
function formFault({ error, message }: Omit<FormFault, 'error'> & { readonly error: string }): TokenAnswer {
  const code = error === 'invalid_grant' ? 'UNAUTHORIZED' : 'UNSUPPORTED';
  return { status: 400, body: { error, error_description: message, errors: [{ code, message }] }, headers: NOT_KEPT };
}
