import type { TLSSocket } from 'node:tls';

/** `http.tls.clientauth`, as the official registry's: what a client must show, and whether it is looked at. */
export type ClientAuth =
  | 'request-client-cert'
  | 'require-any-client-cert'
  | 'verify-client-cert-if-given'
  | 'require-and-verify-client-cert';

export interface Shown {
  /** The connection may go on. */
  readonly admitted: boolean;
  /** The common name, of a certificate that one of `clientcas` vouches for. */
  readonly name: string | undefined;
}

/**
 * What a client has shown. Not left to Node's `rejectUnauthorized`: a connection that takes up an earlier one counts as
 * authorized there even if no certificate was ever shown, as far as TLS 1.3 goes.
 */
export function shownBy(socket: TLSSocket, mode: ClientAuth | undefined): Shown {
  if (mode === undefined) return { admitted: true, name: undefined };
  const certificate = socket.getPeerCertificate();
  // An empty object where there is none.
  const given = 'raw' in certificate;
  const verified = given && socket.authorized;
  return { admitted: ADMITS[mode](given, verified), name: verified ? nameOf(certificate.subject) : undefined };
}

const ADMITS: Readonly<Record<ClientAuth, (given: boolean, verified: boolean) => boolean>> = {
  'request-client-cert': () => true,
  'require-any-client-cert': (given) => given,
  'verify-client-cert-if-given': (given, verified) => verified || !given,
  'require-and-verify-client-cert': (_, verified) => verified,
};

/** One of several names would be a guess, and a control character stands in nobody's name. */
function nameOf({ CN: name }: { readonly CN?: string | readonly string[] }): string | undefined {
  // oxlint-disable-next-line no-control-regex -- which is what is looked for
  return typeof name === 'string' && /^[^\u0000-\u001f\u007f]{1,255}$/.test(name) ? name : undefined;
}
