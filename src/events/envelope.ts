import { createHmac } from 'node:crypto';
import type { Change, Reference } from './change.ts';
import type { Endpoint } from './endpoint.ts';

/** The official registry's notifications, version 2 ("Work with notifications": "Events", "Envelope"). */
export const ENVELOPE_TYPE = 'application/vnd.docker.distribution.events.v2+json';

/** Signs the body as GitHub signs its webhooks, so that what checks those checks ours: `sha256=` and the HMAC in hex. */
export const SIGNATURE_HEADER = 'x-hub-signature-256';

/** An event is small; the descriptors of a large index are left out of one that would have more bytes. */
export const EVENT_BYTES_MAX = 65_536;

/** What clients made up is not kept at any length. */
const CLIENT_TEXT_LENGTH_MAX = 1024;

export interface EventMaking {
  readonly id: string;
  /** ms since the epoch. */
  readonly at: number;
  /** This process: where it runs, and a word that no other one has. */
  readonly source: { readonly addr: string; readonly instanceID: string };
  readonly includeReferences: boolean;
}

/** The event's JSON, with the fields that the official registry gives it. */
export function eventText(change: Change, making: EventMaking): string {
  const references = making.includeReferences && change.kind === 'manifest' ? change.references : undefined;
  const whole = JSON.stringify(eventOf(change, making, references));
  return Buffer.byteLength(whole) <= EVENT_BYTES_MAX ? whole : JSON.stringify(eventOf(change, making, undefined));
}

function eventOf(change: Change, { id, at, source }: EventMaking, references: readonly Reference[] | undefined): unknown {
  const { action, repository, fromRepository, tag, request, actor } = change;
  const { digest, mediaType, size } = descriptorOf(change);
  const descriptors = references?.map((one) => ({ mediaType: one.mediaType, digest: one.digest, size: one.size }));
  const target = {
    mediaType,
    digest,
    size,
    length: size,
    repository,
    fromRepository,
    url: urlOf(change),
    tag,
    references: descriptors,
  };
  return {
    id,
    timestamp: new Date(at).toISOString(),
    action,
    target,
    request: {
      id: request.id,
      addr: request.addr,
      host: request.host?.slice(0, CLIENT_TEXT_LENGTH_MAX),
      method: request.method,
      useragent: request.useragent?.slice(0, CLIENT_TEXT_LENGTH_MAX) ?? '',
    },
    actor: actor === undefined ? {} : { name: actor },
    source,
  };
}

/** A deleted tag is told without what it pointed to, which still stands: who reads a digest takes that for deleted. */
function descriptorOf(change: Change): Pick<Change, 'digest' | 'mediaType' | 'size'> {
  if (change.action !== 'delete') return change;
  return change.tag === undefined ? { digest: change.digest } : {};
}

/** Of what is there: a deleted thing has none. */
function urlOf({ action, address, kind, repository, digest }: Change): string | undefined {
  if (address === undefined || digest === undefined || action === 'delete') return undefined;
  return `${address}/v2/${repository}/${kind}s/${digest}`;
}

export interface Request {
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: Uint8Array;
}

/** One event a request, as the official registry sends them: receivers rely on it. */
export function envelopeOf({ headers, secret }: Endpoint, event: string): Request {
  const body = Buffer.from(`{"events":[${event}]}`);
  const signature = secret === undefined ? undefined : createHmac('sha256', secret).update(body).digest('hex');
  const own = Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), values]));
  return {
    body,
    headers: {
      'user-agent': ['entrepot'],
      ...own,
      'content-type': [ENVELOPE_TYPE],
      ...(signature === undefined ? {} : { [SIGNATURE_HEADER]: [`sha256=${signature}`] }),
    },
  };
}
