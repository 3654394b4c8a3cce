import type { Digest } from '../oci/digest.ts';
import type { Pseudonym } from '../oci/via.ts';

/**
 * One remote registry with its credentials, as the rest of the house sees it. Everything about tokens, redirects, proxies
 * and time limits stays behind it.
 *
 * `ask` resolves to what the registry *said*; it rejects with {@link UpstreamError} when nothing usable was said. Only a
 * definite "not here" is `absent`: trouble never becomes absence.
 */
export interface Upstream {
  /** As configured (`hub-a`), or the host for `origin`: the metric label, and `detail` of Cache-Status. */
  readonly name: string;
  /** The signal ends the wait for the answer and the body that comes with it. */
  ask(request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamAnswer>;
  status(): UpstreamStatus;
  /** As it is now for one registry, which matters to `origin` alone. Cheap enough for every request. */
  standing(registry: string): Standing;
  /** Retires the connections once the requests in flight have ended. */
  close(): Promise<void>;
}

/** A client's own: passed on to the one upstream that they are for, and kept nowhere. */
export interface ClientCredentials {
  readonly username: string;
  readonly password: string;
}

export interface UpstreamRequest {
  readonly kind: 'manifest' | 'blob' | 'tags' | 'referrers';
  readonly method: 'GET' | 'HEAD';
  /** Canonical registry, `docker.io`, `localhost:5001`; `origin` dials it, others send it as `?ns=` where asked to. */
  readonly registry: string;
  readonly repository: string;
  /** Tag or digest of a manifest, digest of a blob or of a referrers' subject; empty for tags. */
  readonly reference: string;
  /** Blobs only: the bytes wanted, `to` exclusive. */
  readonly range?: { readonly from: number; readonly to?: number };
  /** Tags and referrers only: what goes behind `?`. */
  readonly query?: Readonly<Record<string, string>>;
  /** The mirrors through which the question came here, by pseudonym; none where it is a client's, or our own. */
  readonly via?: readonly Pseudonym[];
}

export type UpstreamAnswer =
  | UpstreamFound
  /**
   * 404, or 401/403 for the image after a fresh anonymous token (`hint` then says that signing in may be needed).
   * `unknownName`: the upstream's error code was NAME_UNKNOWN, so that it is the repository that is not there.
   */
  | { readonly kind: 'absent'; readonly hint?: string; readonly unknownName?: boolean }
  /** Credentials with `use: all` were understood and refused this repository; or a client's own were refused altogether. */
  | { readonly kind: 'denied' }
  /** 429 of the registry or of its token endpoint. */
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number | undefined };

export interface UpstreamFound {
  readonly kind: 'found';
  readonly status: 200 | 206;
  /** Media type without parameters, as the upstream said it; `undefined` if it said none. */
  readonly mediaType: string | undefined;
  /** `Docker-Content-Digest`, if it was sent and parses. Never to be trusted without the bytes. */
  readonly digest: Digest | undefined;
  /** Of the whole content: Content-Length of a 200, the total of a 206's Content-Range; `undefined` if not said. */
  readonly size: number | undefined;
  /** Of a 206: the first byte that `body` carries. 0 for a 200. */
  readonly from: number;
  /** `Link: rel=next`, resolved to the query of the next page of the same list; `undefined` on the last. */
  readonly next: Readonly<Record<string, string>> | undefined;
  /** `OCI-Filters-Applied`, as sent. */
  readonly filtersApplied: string | undefined;
  /** True when no credential was used: the content may be public (architecture.md, decision 8). */
  readonly anonymous: boolean;
  /** Absent for HEAD. Must be read to its end or closed. */
  readonly body: UpstreamBody | undefined;
}

/** So many calls later memory that a body's reader was given is the body's again: it has a while to pass it on. */
export const READS_KEPT = 4;

export interface UpstreamBody {
  /**
   * The next bytes, `undefined` at the end. Rejects with UpstreamError `stall` or `cut`. The end proves nothing: undici
   * reports a length-less body that was reset as complete. The bytes are the caller's until the
   * fourth next call ({@link READS_KEPT}), or until a call has said that there are no more.
   */
  read(): Promise<Uint8Array | undefined>;
  /** Ends the transfer if it still runs; what was read last stays the caller's. Harmless at any time. */
  close(): void;
}

/** As the label of `entrepot_upstream_errors_total`. */
export type UpstreamErrorReason =
  | 'dns'
  | 'connect'
  | 'tls'
  | 'proxy'
  | 'headers'
  | 'stall'
  | 'cut'
  | 'status'
  | 'auth'
  | 'ratelimit'
  | 'verify';

/** Nothing usable came from the upstream. `message` names it and what went wrong, without secrets or queries. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly upstream: string;
  readonly reason: UpstreamErrorReason;
  /** True when a time limit ran out; when all of a chain's failures are such, the client gets 504 instead of 502. */
  readonly timeout: boolean;
  /** The status that was answered, where one was. */
  readonly status: number | undefined;

  constructor(
    upstream: string,
    reason: UpstreamErrorReason,
    message: string,
    options: { timeout?: boolean; status?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.upstream = upstream;
    this.reason = reason;
    this.timeout = options.timeout ?? false;
    this.status = options.status;
  }
}

/** What decides who is asked next. */
export interface Standing {
  /** False while its breaker is open; true again when it is half-open, since it then needs a request as its trial. */
  readonly up: boolean;
  /** Milliseconds from a question to its answer, exponentially weighted; `undefined` before the first. */
  readonly latencyMs: number | undefined;
  /** What 95 of a hundred answers took no longer than; `undefined` until enough are known. */
  readonly usualMs: number | undefined;
  /** Share of its concurrency that is in use; above 1 some wait for it. */
  readonly busy: number;
  /** Pulls that the published rate limit has left: 0 while a 429 is waited out, `undefined` where nothing was published. */
  readonly budget: number | undefined;
}

export interface UpstreamStatus {
  readonly name: string;
  readonly url: string;
  /** False from when its breaker opens until it has closed. */
  readonly up: boolean;
  /** Milliseconds to first byte, exponentially weighted; `undefined` before the first answer. */
  readonly latencyMs: number | undefined;
  /** `undefined` for anonymous upstreams and before the first sign-in. */
  readonly credentialsValid: boolean | undefined;
  readonly lastError: string | undefined;
  readonly rateLimit: { readonly limit: number; readonly remaining: number } | undefined;
  /** Until manifests may be asked for again after a 429; left out where nothing is waited for. */
  readonly pausedMs?: number;
  readonly running: number;
}
