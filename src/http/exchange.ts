import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Asking } from '../auth/auth.ts';
import type { Identity } from '../auth/subject.ts';
import type { Trace } from '../pull/trace.ts';
import type { Connection } from './connection.ts';
import type { Outgoing } from './outgoing.ts';
import type { RequestBody } from './request-body.ts';

/** One request and its answer, with what the edge knows about both. */
export interface Exchange {
  /** Under HTTP/2 too, as a gateway to HTTP/1.1 would hand it on. */
  readonly incoming: IncomingMessage;
  readonly outgoing: Outgoing;
  readonly connection: Connection;
  readonly method: string;
  /** The request target as it stood, path and query. */
  readonly target: string;
  /** Its path, as it stood. */
  readonly path: string;
  readonly requestId: string;
  /** The client's address. */
  readonly client: string;
  readonly clientKind: string;
  /** The common name of the certificate that the client has proved to have; `undefined`: none, or it is not to be believed. */
  readonly certificate: string | undefined;
  readonly userAgent: string | undefined;
  readonly trace: Trace;
  /** Of the request. What nobody took of it is thrown away when the answer leaves. */
  readonly body: RequestBody;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** Calls it when the request has ended, one way or another; at once where it has. */
  readonly onEnd: (listener: () => void) => void;
  /** Monotonic, ms. */
  readonly startedMs: number;
  /** Headers of every answer; those of the single answer win. */
  readonly commonHeaders: OutgoingHttpHeaders;
  /** What shows who asks, once somebody has looked, and who it is (gate.ts). */
  asking: Asking | undefined;
  identity: Identity;
  /** Whose limit refused it, where that is news (limits.ts). */
  limited: 'address' | 'account' | undefined;
  /** The route's name, once it is known. */
  handler: string | undefined;
  /** All of the answer has left. Node says so too of one whose connection broke below it. */
  whole: boolean;
  /** Bytes of the body that the kernel took. */
  bytes: number;
  firstByteMs: number | undefined;
}

/** The path of a request target: what stands before the question mark. */
export function pathOf(target: string): string {
  const question = target.indexOf('?');
  return question < 0 ? target : target.slice(0, question);
}

/** The query of a request target, without the question mark. */
export function queryOf(target: string): URLSearchParams {
  const question = target.indexOf('?');
  return new URLSearchParams(question < 0 ? '' : target.slice(question + 1));
}
