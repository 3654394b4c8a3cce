/**
 * With which others' tokens may be signed (RFC 7518 3.1, RFC 8037). Whoever could check a token with a secret that is shared
 * (`HS256`) could make one too, and `none` signs nothing.
 */
export const SIGNING_ALGORITHMS: readonly string[] = [
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
];
