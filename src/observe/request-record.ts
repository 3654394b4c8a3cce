import type { RequestEvent } from './events.ts';

/** The record of one request: exactly the fields of the contract ("Log"), `null` where there is nothing to say. */
export interface RequestRecord {
  readonly request_id: string;
  readonly client: string;
  readonly client_kind: string;
  readonly user_agent: string | null;
  /** Nobody, until there is `auth`. */
  readonly user: string | null;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly registry: string | null;
  readonly repository: string | null;
  readonly reference: string | null;
  readonly digest: string | null;
  readonly type: string | null;
  readonly route: string | null;
  readonly outcome: string | null;
  readonly upstream: string | null;
  readonly tried: readonly {
    readonly upstream: string;
    readonly error: string;
    readonly ms: number;
  }[];
  /** Of the body, as far as it was sent. */
  readonly bytes: number;
  /** Of the content; a range or a HEAD sends less. */
  readonly size: number | null;
  readonly first_byte_ms: number | null;
  readonly ms: number;
  readonly age_s: number | null;
  readonly aborted: boolean;
}

/** A User-Agent or a path that a client made up is not kept at any length. */
const CLIENT_TEXT_LENGTH_MAX = 1024;

export function requestRecord(event: RequestEvent): RequestRecord {
  const { trace } = event;
  return {
    request_id: trace.requestId,
    client: event.client,
    client_kind: event.clientKind,
    user_agent: event.userAgent?.slice(0, CLIENT_TEXT_LENGTH_MAX) ?? null,
    user: event.user ?? null,
    method: event.method,
    path: withoutQuery(event.path).slice(0, CLIENT_TEXT_LENGTH_MAX),
    status: event.status,
    registry: trace.registry ?? null,
    repository: trace.repository ?? null,
    reference: trace.reference ?? null,
    digest: trace.digest ?? null,
    type: trace.type ?? null,
    route: trace.route ?? null,
    outcome: trace.outcome ?? null,
    upstream: trace.upstream ?? null,
    tried: trace.tried.map(({ upstream, error, ms }) => ({ upstream, error, ms: tenth(ms) })),
    bytes: event.bytes,
    size: trace.size ?? null,
    first_byte_ms: event.firstByteMs === undefined ? null : tenth(event.firstByteMs),
    ms: tenth(event.ms),
    age_s: trace.ageSeconds === undefined ? null : Math.round(trace.ageSeconds),
    aborted: event.aborted,
  };
}

/** A query may carry a token: it is never logged, even if a caller forgot to take it off. */
export function withoutQuery(path: string): string {
  const question = path.indexOf('?');
  return question < 0 ? path : path.slice(0, question);
}

function tenth(ms: number): number {
  return Math.round(ms * 10) / 10;
}
