import type { Trace } from '../pull/trace.ts';

/** What the edge reports; `compose.ts` turns it into log records and metrics. */
export type HttpEvent = RequestStarted | RequestEnded | RequestFault | RequestUnreadable;

/** A request has found its route: one more is in flight under this handler. Each is followed by one {@link RequestEnded}. */
export interface RequestStarted {
  readonly kind: 'request started';
  /** The route's name in `app.ts` or `debug.ts`; `other` where none matched or the request was refused before. */
  readonly handler: string;
}

/** The one wide record of a request, at its end: finished, cut, or left by the client. */
export interface RequestEnded {
  readonly kind: 'request';
  readonly trace: Trace;
  readonly handler: string;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** As sent; 499 when the client left before anything was. */
  readonly status: number;
  /** Of the body, as far as the kernel took them. */
  readonly bytes: number;
  /** Until the head of the answer left; `undefined` when none did. */
  readonly firstByteMs: number | undefined;
  readonly ms: number;
  /** The client's address, as far as trusted proxies vouch for it. */
  readonly client: string;
  readonly clientKind: string;
  /** Who asked: `user:ann`, `token:ci`; `undefined` where nobody said. */
  readonly user: string | undefined;
  /** Whose limit refused it; told of each once a minute. */
  readonly limited: 'address' | 'account' | undefined;
  readonly userAgent: string | undefined;
  /** As the client sent it. */
  readonly host: string | undefined;
  /** The address by which the client reached us; worked out for who asks. `undefined` where its Host is no authority. */
  readonly publicAddress: () => string | undefined;
  /** The answer did not leave whole: the client left, or we cut it. */
  readonly aborted: boolean;
}

/** Something failed that is no expected refusal: to be logged, once. The client saw a 500 or a cut connection. */
export interface RequestFault {
  readonly kind: 'fault';
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly error: unknown;
}

/** Bytes that are no HTTP request, or none in time: answered with `status` where that was possible, and closed. */
export interface RequestUnreadable {
  readonly kind: 'unreadable';
  readonly client: string;
  readonly status: number;
  /** Node's code: `HPE_INVALID_METHOD`, `ERR_HTTP_REQUEST_TIMEOUT` … */
  readonly reason: string;
}

export type Report = (event: HttpEvent) => void;
