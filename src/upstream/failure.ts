import { Stalled } from './body.ts';
import { ConnectTimeout, ProxyFailure } from './connect.ts';
import { RefusedAddress } from './guard.ts';
import { TokenTimeout } from './tokens.ts';
import { HeadersTimeout } from './transport.ts';
import { UpstreamError, type UpstreamErrorReason } from './upstream.ts';

/** What went wrong below HTTP, as the reason that the rest of the house knows. An UpstreamError passes through. */
export function toUpstreamError(upstream: string, host: string, error: unknown, during: 'answer' | 'body'): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const cause = firstCause(error);
  const { reason, timeout } = classify(cause, during);
  return new UpstreamError(upstream, reason, `${upstream} (${host}): ${describe(cause)}`, { timeout, cause: error });
}

function classify(error: Error, during: 'answer' | 'body'): { reason: UpstreamErrorReason; timeout: boolean } {
  const code = String((error as { code?: unknown }).code ?? '');
  if (error instanceof Stalled) return { reason: 'stall', timeout: true };
  if (error instanceof HeadersTimeout || error instanceof TokenTimeout) return { reason: 'headers', timeout: true };
  if (error instanceof ConnectTimeout || code === 'ETIMEDOUT') return { reason: 'connect', timeout: true };
  if (error instanceof ProxyFailure) return { reason: 'proxy', timeout: false };
  if (error instanceof RefusedAddress) return { reason: 'connect', timeout: false };
  if (DNS_CODES.has(code)) return { reason: 'dns', timeout: false };
  if (isTls(code)) return { reason: 'tls', timeout: false };
  if (CONNECT_CODES.has(code)) return { reason: 'connect', timeout: false };
  if (UNASKED.has(error.message)) return { reason: 'headers', timeout: false };
  if (during === 'answer' && /^(HPE_|UND_ERR_HEADERS|UND_ERR_RES)/.test(code)) return { reason: 'headers', timeout: false };
  return { reason: 'cut', timeout: false };
}

/**
 * Interim answers (RFC 9110 15.2) are waited through, but for two. undici asks for neither, and ends the connection in its
 * parser at the sight of them, before any handler is told; all that is left to do is to say what was sent, for its own
 * words do not. A proxy in front of the upstream that sends 100 with every answer has to be told not to.
 */
const UNASKED: ReadonlyMap<string, string> = new Map([
  ['bad response', '100 Continue'],
  ['bad upgrade', '101 Switching Protocols'],
]);

const DNS_CODES: ReadonlySet<string> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'ENODATA',
  'ESERVFAIL',
]);

const CONNECT_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
]);

/** OpenSSL's verification codes carry no common prefix (Node, "X509 certificate error codes"). */
function isTls(code: string): boolean {
  return /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|CRL_|EPROTO$|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/.test(
    code,
  );
}

/** With several addresses Node throws one error for all of them; the first says enough. */
function firstCause(error: unknown): Error {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0];
  return error instanceof Error ? error : new Error(String(error));
}

function describe(error: Error): string {
  const unasked = UNASKED.get(error.message);
  if (unasked !== undefined) return `sent ${unasked}, which nobody asked for`;
  const code = (error as { code?: unknown }).code;
  const text = error.message === '' ? String(code ?? error.name) : error.message;
  return text.replace(/\?[^\s"']*/g, '');
}
