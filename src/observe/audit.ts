import type { AuthEvent, HouseEvent, RequestEvent } from './events.ts';
import { redact } from './redact.ts';

/** What the audit is told: what the rooms report, as far as somebody did something, and what commands did. */
export type Audited = HouseEvent | CommandEvent | LostEvent;

/** An administrator has changed who may what, or what is kept. */
export interface CommandEvent {
  readonly kind: 'command';
  readonly command: 'token create' | 'token revoke' | 'pin' | 'unpin' | 'release' | 'evict' | 'disown' | 'collect' | 'import';
  /** What it was about: the token's name, the pinned images. */
  readonly name: string;
}

/** So many records could not be kept: there is a gap. */
export interface LostEvent {
  readonly kind: 'lost';
  readonly records: number;
}

/** One act. `null` where there is nothing to say. */
export interface AuditRecord {
  readonly time: string;
  readonly msg: 'audit';
  /** `pull`, `push`, `delete`, `sign-in`, `limit`; `start`, `reload` (of rules or users); the commands of {@link CommandEvent}; `lost`. */
  readonly action: string;
  /** `denied`: who asked may not; `failed`: they may, or nobody knows, and it did not come to it. */
  readonly result: 'allowed' | 'denied' | 'failed';
  /** `user:ann`, `token:ci`, `anyone`; `administrator`: whoever may open the socket or the data directory. */
  readonly subject: string | null;
  readonly client: string | null;
  /** With its registry: `docker.io/library/ubuntu`. */
  readonly repository: string | null;
  /** The tag or digest that was asked for; of a command, what it was about. */
  readonly reference: string | null;
  readonly digest: string | null;
  readonly request_id: string | null;
  readonly reason: string | null;
}

/** The record of an event as a line of JSON, without a secret; `undefined` for what is nobody's act. `now`: ms since the epoch. */
export function auditLine(event: Audited, now: number): string | undefined {
  const act = actOf(event);
  if (act === undefined) return undefined;
  const { action, result, ...more } = act;
  const record: AuditRecord = { time: new Date(now).toISOString(), msg: 'audit', action, result, ...NOTHING, ...more };
  return `${JSON.stringify(redact({ ...record }))}\n`;
}

const NOTHING = {
  subject: null,
  client: null,
  repository: null,
  reference: null,
  digest: null,
  request_id: null,
  reason: null,
};

type Act = Pick<AuditRecord, 'action' | 'result'> & Partial<AuditRecord>;

function actOf(event: Audited): Act | undefined {
  switch (event.kind) {
    case 'request':
      return requested(event);
    case 'denied': {
      const { action, subject, client, holder, reference, requestId, reason } = event;
      const what = { repository: holder ?? null, reference: reference ?? null, request_id: requestId, reason };
      return { action, result: 'denied', subject, client, ...what };
    }
    case 'sign-in':
      return signedIn(event);
    case 'listening':
      return { action: 'start', result: 'allowed', reason: event.config };
    case 'reloaded':
      return { action: 'reload', result: 'allowed', reason: event.config };
    case 'htpasswd-read':
      return { action: 'reload', result: 'allowed', reason: event.path };
    case 'command':
      return { action: event.command, result: 'allowed', subject: 'administrator', reference: event.name };
    case 'lost':
      return { action: 'lost', result: 'failed', reason: `${event.records} records` };
    default:
      return undefined;
  }
}

/** Who is right is told by what they do then. */
function signedIn({ way, result, user, client, requestId }: Extract<AuthEvent, { kind: 'sign-in' }>): Act | undefined {
  if (result === 'ok') return undefined;
  const who = { subject: user === undefined ? null : `user:${user}`, client, request_id: requestId };
  if (result === 'refused') return { action: 'sign-in', result: 'failed', ...who, reason: `wrong ${way}` };
  return { action: 'sign-in', result: 'denied', ...who, reason: `${way} not looked at: too many were wrong, or came at once` };
}

/**
 * What content was asked for, or changed. Whoever was not let in has no repository here, since nothing was looked at: that is
 * told as it is refused.
 */
function requested(event: RequestEvent): Act | undefined {
  const { trace, user, client } = event;
  if (event.limited !== undefined) return limited(event);
  const action = actionOf(event);
  if (action === undefined || trace.repository === undefined) return undefined;
  return {
    action,
    ...outcomeOf(event),
    subject: user ?? 'anyone',
    client,
    repository: `${trace.registry}/${trace.repository}`,
    reference: trace.reference ?? null,
    digest: trace.digest ?? null,
    request_id: trace.requestId,
  };
}

/** Nothing was looked at, not even who it is, where it is their address that asks too often. */
function limited({ user, client, trace, limited: whose }: RequestEvent): Act {
  const subject = user ?? (whose === 'address' ? null : 'anyone');
  const reason = `too much of this ${whose}`;
  return { action: 'limit', result: 'denied', subject, client, request_id: trace.requestId, reason };
}

const CONTENT = new Set(['manifest', 'blob']);

/** A HEAD yields no content, and the steps of an upload keep none before the last. */
function actionOf({ handler, method, status }: RequestEvent): string | undefined {
  if (CONTENT.has(handler)) {
    if (method === 'GET') return 'pull';
    return method === 'PUT' ? 'push' : method === 'DELETE' ? 'delete' : undefined;
  }
  const writes = method === 'PUT' || method === 'PATCH' || method === 'POST';
  return handler === 'upload' && writes && (status === 201 || status >= 400) ? 'push' : undefined;
}

function outcomeOf({ status, aborted, trace }: RequestEvent): Pick<AuditRecord, 'result' | 'reason'> {
  if (status < 400) return { result: 'allowed', reason: aborted ? 'broken off' : null };
  const { notLetIn } = trace;
  if (notLetIn !== undefined) return { result: 'denied', reason: `${notLetIn.judge}: ${notLetIn.reason}` };
  const reason = `status ${status}`;
  if (trace.outcome === 'denied' || status === 401 || status === 403) return { result: 'denied', reason };
  return { result: 'failed', reason };
}
