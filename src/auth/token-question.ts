import { RegistryError } from '../oci/errors.ts';
import { readScopes, SCOPE_LENGTH_MAX, SCOPES_MAX, type AskedScopes } from '../oci/scope.ts';
import type { TokenQuestion } from './auth.ts';
import { parseCredentials } from './identify.ts';

/** What is asked of the token endpoint, whichever way it came. */
export interface Asked {
  readonly kind: 'asked';
  /** `undefined`: none were sent. */
  readonly credentials: TokenCredentials | undefined;
  readonly scopes: AskedScopes;
  /** A refresh token is wanted too. */
  readonly isOffline: boolean;
}

export type TokenCredentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** A secret that needs no name. */
  | { readonly kind: 'secret'; readonly secret: string }
  /** Not to be read, and so nobody's. */
  | { readonly kind: 'unreadable' };

/** A form that cannot be answered (RFC 6749 5.2). */
export interface FormFault {
  readonly kind: 'fault';
  readonly error: 'invalid_request' | 'unsupported_grant_type' | 'invalid_scope';
  readonly message: string;
}

const TOO_MANY_SCOPES = `more than ${SCOPES_MAX} scopes, or more than ${SCOPE_LENGTH_MAX} characters of them`;

/** distribution, "Token Authentication Specification". Throws RegistryError. */
export function readQuery({ parameters, authorization }: TokenQuestion): Asked {
  const scopes = readScopes(parameters.getAll('scope'));
  if (scopes === undefined) throw new RegistryError('UNSUPPORTED', TOO_MANY_SCOPES, { status: 400 });
  const credentials = authorization === undefined ? undefined : credentialsIn(authorization);
  return { kind: 'asked', credentials, scopes, isOffline: parameters.get('offline_token') === 'true' };
}

function credentialsIn(authorization: string): TokenCredentials {
  const found = parseCredentials(authorization);
  if (found === undefined) return { kind: 'unreadable' };
  if (found.kind === 'bearer') return { kind: 'secret', secret: found.token };
  return { kind: 'password', username: found.username, password: found.password };
}

/** distribution, "OAuth2 Token Authentication". Neither `service` nor `client_id` says anything that we do not know better. */
export function readForm({ parameters }: TokenQuestion): Asked | FormFault {
  const scopes = readScopes(parameters.getAll('scope'));
  if (scopes === undefined) return { kind: 'fault', error: 'invalid_scope', message: TOO_MANY_SCOPES };
  const credentials = grantIn(parameters);
  if ('error' in credentials) return credentials;
  return { kind: 'asked', credentials, scopes, isOffline: parameters.get('access_type') === 'offline' };
}

function grantIn(parameters: URLSearchParams): TokenCredentials | FormFault {
  const missing = (name: string): FormFault => ({
    kind: 'fault',
    error: 'invalid_request',
    message: `the form has no ${name}`,
  });
  switch (parameters.get('grant_type')) {
    case 'password': {
      const [username, password] = [parameters.get('username'), parameters.get('password')];
      if (username === null || password === null) return missing(username === null ? 'username' : 'password');
      return { kind: 'password', username, password };
    }
    case 'refresh_token': {
      const secret = parameters.get('refresh_token');
      return secret === null ? missing('refresh_token') : { kind: 'secret', secret };
    }
    case null:
      return missing('grant_type');
    default:
      return { kind: 'fault', error: 'unsupported_grant_type', message: 'grants here are password and refresh_token' };
  }
}
