import { formatChallenge } from '../oci/challenge.ts';
import { formatScope, type Scope } from '../oci/scope.ts';
import type { Asking } from './auth.ts';

/** How clients are told to sign in: the same for all of a Host, since they remember what `/v2/` said (protocol.md 2.1). */
export type ChallengeKind =
  | { readonly kind: 'basic'; readonly realm: string }
  /** Our own token server, at the address by which the client came. */
  | { readonly kind: 'own'; readonly path: string }
  /** Another one. `redirectPath`: it is at that path of the address by which the client came. */
  | { readonly kind: 'foreign'; readonly realm: string; readonly service: string; readonly redirectPath: string | undefined };

/** Why a token will not do (RFC 6750 3.1). */
export type TokenFault = 'invalid_token' | 'insufficient_scope';

/** The field `WWW-Authenticate`; `undefined` where the client's Host is no address to send it to. */
export function challengeField(
  challenge: ChallengeKind,
  { publicUrl }: Pick<Asking, 'publicUrl'>,
  scope?: Scope,
  fault?: TokenFault,
): string | undefined {
  if (challenge.kind === 'basic') return formatChallenge({ scheme: 'Basic', realm: challenge.realm });
  const at = endpointOf(challenge, publicUrl);
  if (at === undefined) return undefined;
  return formatChallenge({
    scheme: 'Bearer',
    ...at,
    ...(scope && { scope: formatScope(scope) }),
    ...(fault && { error: fault }),
  });
}

function endpointOf(
  challenge: Exclude<ChallengeKind, { kind: 'basic' }>,
  publicUrl: string | undefined,
): { readonly realm: string; readonly service: string } | undefined {
  if (challenge.kind === 'foreign' && challenge.redirectPath === undefined)
    return { realm: challenge.realm, service: challenge.service };
  const service = audienceOf(publicUrl);
  if (publicUrl === undefined || service === undefined) return undefined;
  if (challenge.kind === 'own') return { realm: `${publicUrl}${challenge.path}`, service };
  return { realm: `${publicUrl}${challenge.redirectPath ?? ''}`, service: challenge.service };
}

/** For whom our own tokens are: the authority by which clients reach us, `mirror.example.test:5000`. */
export function audienceOf(publicUrl: string | undefined): string | undefined {
  return publicUrl === undefined ? undefined : new URL(publicUrl).host;
}
