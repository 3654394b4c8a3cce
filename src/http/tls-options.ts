import { constants } from 'node:crypto';
import type { SecureContextOptions, SecureVersion } from 'node:tls';
import type { ClientAuth } from './client-certificate.ts';

/** How a listener speaks TLS. Texts are PEM. */
export interface TlsOptions {
  readonly certificate: string;
  readonly key: string;
  readonly minimum: SecureVersion;
  /** OpenSSL's names, for TLS 1.2 and older ones; `undefined`: Node's choice. */
  readonly ciphers?: string | undefined;
  /** Those who vouch for clients; empty unless `clientAuth` is there. */
  readonly clientCas: readonly string[];
  /** What clients must show; `undefined`: they are not asked. */
  readonly clientAuth?: ClientAuth | undefined;
}

/** Below TLS 1.2 nothing is left of what OpenSSL allows at its usual level (OpenSSL 3.0, "SSL_CTX_set_security_level"). */
const OLD_VERSIONS: ReadonlySet<SecureVersion> = new Set(['TLSv1', 'TLSv1.1']);

/** A client that was let in by `before` may not be by `now`. */
export function asksOtherwise(before: TlsOptions, now: TlsOptions): boolean {
  return before.clientAuth !== now.clientAuth || before.clientCas.join('\n') !== now.clientCas.join('\n');
}

/** Throws Error where certificate and key cannot be read, or do not fit. */
export function toNode({ certificate, key, minimum, ciphers, clientCas, clientAuth }: TlsOptions): SecureContextOptions {
  const level = OLD_VERSIONS.has(minimum) ? `${ciphers ?? 'DEFAULT'}:@SECLEVEL=0` : ciphers;
  return {
    cert: certificate,
    key,
    minVersion: minimum,
    ...(level === undefined ? {} : { ciphers: level }),
    ...(clientAuth === undefined
      ? {}
      : {
          ca: [...clientCas],
          // Who shows a certificate shows it at every connection: one that was taken back is not taken up again.
          secureOptions: constants.SSL_OP_NO_TICKET,
        }),
  };
}
