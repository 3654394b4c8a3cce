import { RegistryError } from '../oci/errors.ts';
import type { Refusal } from './refusal.ts';

/** What is being refused, for the sentence and the code. */
export interface Refused {
  readonly kind: 'manifest' | 'blob' | 'tags' | 'referrers';
  readonly registry: string;
  readonly repository: string;
  readonly reference: string;
}

/** Without a hint from the upstream a client is asked to come back after this. */
const RETRY_AFTER_SECONDS = 60;

/** The contract's table: what the client hears when a chain could not supply. Never 401, never an upstream's challenge. */
export function refusalError(refusal: Refusal, refused: Refused, cacheStatus: string): RegistryError {
  const what = describe(refused);
  const detail = refusal.tried.length === 0 ? undefined : { tried: refusal.tried };
  const headers = { 'cache-status': cacheStatus };
  switch (refusal.kind) {
    case 'absent':
      return new RegistryError(absenceCode(refusal, refused), absenceMessage(refusal, what), { detail, headers });
    case 'offline':
      return new RegistryError(unknownCode(refused), `${what} is not held, and this mirror is offline: no upstream is asked`, {
        detail: { offline: true },
        headers,
      });
    case 'denied':
      return new RegistryError('DENIED', `${what}: the upstream refuses our credentials this repository`, { detail, headers });
    case 'limited': {
      const seconds = refusal.retryAfterSeconds ?? RETRY_AFTER_SECONDS;
      const message = `${what}: the upstream's rate limit is reached; try again in ${seconds} s`;
      return new RegistryError('TOOMANYREQUESTS', message, { detail, headers: { ...headers, 'retry-after': String(seconds) } });
    }
    case 'unreachable': {
      const why = refusal.tried.map(({ upstream, error }) => `${upstream}: ${error}`).join('; ');
      const message = `${what} could not be fetched: ${why || 'no upstream answered'}`;
      return new RegistryError('UNAVAILABLE', message, { status: unreachableStatus(refusal), detail, headers });
    }
  }
}

/** RFC 5842 7.2 for a circle of mirrors. */
function unreachableStatus({ looped, timeout }: Extract<Refusal, { kind: 'unreachable' }>): number {
  if (looped === true) return 508;
  return timeout ? 504 : 502;
}

/** As the log and the metrics name it. */
export function refusedOutcome({ kind }: Refusal): 'negative' | 'denied' | 'error' {
  if (kind === 'absent' || kind === 'offline') return 'negative';
  return kind === 'denied' ? 'denied' : 'error';
}

function absenceCode(
  refusal: Extract<Refusal, { kind: 'absent' }>,
  refused: Refused,
): 'NAME_UNKNOWN' | 'BLOB_UNKNOWN' | 'MANIFEST_UNKNOWN' {
  return refusal.unknownName || refusal.hint !== undefined ? 'NAME_UNKNOWN' : unknownCode(refused);
}

function unknownCode({ kind }: Refused): 'NAME_UNKNOWN' | 'BLOB_UNKNOWN' | 'MANIFEST_UNKNOWN' {
  if (kind === 'tags') return 'NAME_UNKNOWN';
  return kind === 'blob' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN';
}

function absenceMessage(refusal: Extract<Refusal, { kind: 'absent' }>, what: string): string {
  return refusal.hint === undefined ? `${what} is not there` : `${what} is not there: ${refusal.hint}`;
}

function describe({ kind, registry, repository, reference }: Refused): string {
  const name = `${registry}/${repository}`;
  if (kind === 'tags') return name;
  const separator = reference.includes(':') ? '@' : ':';
  return `${kind} ${name}${separator}${reference}`;
}
