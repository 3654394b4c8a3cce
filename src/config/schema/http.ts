import { z } from 'zod';
import { CIPHER_SUITES, TLS13_SUITES } from '../cipher-suites.ts';
import { address, flag, form, limit, listOf, mapOf, network, path, webUrl, word } from '../forms.ts';

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** A header's name, in any case. */
export const headerName = z.string().regex(TOKEN, { error: 'expected the name of a header' });

/** A header's value: no control character but the tab (RFC 9110 5.5), so that no line can be smuggled in. */
export const headerValue = () =>
  form('text', 'the value of a header, without control characters', (written) =>
    /^[\t\x20-\x7e\x80-\xff]*$/.test(written) ? written : undefined,
  );

/** `/a/b/` → `/a/b`, `/` → nothing. */
function parsePrefix(written: string): string | undefined {
  return /^(?:\/[A-Za-z0-9._~-]+)*\/?$/.test(written) ? written.replace(/\/$/, '') : undefined;
}

const prometheus = z.strictObject({
  enabled: flag().prefault('true').describe('Serves metrics there.'),
  path: form('path', 'a path that begins with /', (written) => (/^\/[\w./-]+$/.test(written) ? written : undefined))
    .prefault('/metrics')
    .describe('Where metrics are.'),
});

const debug = z.strictObject({
  addr: address().optional().describe('Where to listen for metrics, health and status; without it there is no such listener.'),
  prometheus: prometheus.prefault({}),
});

/** The official registry's names; what of them OpenSSL has no more is an error that says so. */
const cipherSuite = () =>
  form(
    'cipher suite',
    'a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; 3DES and RC4 are not offered',
    (written) => (CIPHER_SUITES.has(written) || TLS13_SUITES.has(written) ? written : undefined),
  );

const tls = z.strictObject({
  certificate: path()
    .optional()
    .describe('The certificate, with those between it and its authority; read again when it changes.'),
  key: path().optional().describe('Its private key, without a passphrase; read again when it changes.'),
  clientcas: listOf(path()).prefault([]).describe('Authorities that vouch for clients; read again when they change.'),
  clientauth: word(
    'request-client-cert',
    'require-any-client-cert',
    'verify-client-cert-if-given',
    'require-and-verify-client-cert',
  )
    .optional()
    .describe('What clients must show, where there are `clientcas`; without it `require-and-verify-client-cert`.'),
  minimumtls: word('tls1.0', 'tls1.1', 'tls1.2', 'tls1.3').prefault('tls1.2').describe('The oldest version that is spoken.'),
  ciphersuites: listOf(cipherSuite())
    .prefault([])
    .describe('Cipher suites of TLS 1.2 and older; those of TLS 1.3 are always offered.'),
});

const http2 = z.strictObject({
  disabled: flag().prefault('true').describe('HTTP/2 is offered only where `false` is written out, and over TLS alone.'),
});

export const http = z.strictObject({
  addr: address().prefault(':5000').describe('Where to listen; without a host on every address; port 0 picks a free one.'),
  host: webUrl().optional().describe('The public address, if it is not what clients send as Host.'),
  trustedproxies: listOf(network()).prefault([]).describe('Whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.'),
  prefix: form('path', 'a path such as /registry/', parsePrefix).optional().describe('Stands before every path.'),
  headers: mapOf(listOf(headerValue()), headerName).prefault({}).describe('Headers that are set on every answer.'),
  tls: tls.prefault({}).describe('TLS on the main listener; without a certificate it speaks plain HTTP.'),
  http2: http2.prefault({}),
  debug: debug.prefault({}),
  draintimeout: limit(0).prefault('25s').describe('How long running requests may take after SIGTERM.'),
  stalltimeout: limit()
    .prefault('60s')
    .describe('How long a client may take no byte of a body, or bring none, before its connection is cut.'),
});
