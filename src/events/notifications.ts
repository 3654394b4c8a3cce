import type { OutboxEntry, Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import { randomId, type Random } from '../system/random.ts';
import type { Change } from './change.ts';
import { Delivery, type Send } from './delivery.ts';
import { wants, type Endpoint } from './endpoint.ts';
import { eventText } from './envelope.ts';
import type { ReportNotifications } from './events.ts';
import { OutboxWriter } from './outbox-writer.ts';

/** How many events of one endpoint may wait; then the oldest are dropped. */
export const EVENTS_MAX = 10_000;

export interface NotificationsOptions {
  readonly endpoints: readonly Endpoint[];
  readonly includeReferences: boolean;
  readonly records: Pick<Records, 'outbox' | 'flushed'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Names this process among all that share the store, and no other. */
  readonly holder: string;
  /** True for a holder that is known to run no more. */
  readonly isDead: (holder: string) => boolean;
  /** `host:port` of this server, for `source`. */
  readonly addr: string;
  /** Of this process, for `source`. */
  readonly instanceId: string;
  readonly send: Send;
  readonly report: ReportNotifications;
  /** Default {@link EVENTS_MAX}. */
  readonly eventsMax?: number;
}

export interface Notifications {
  /**
   * Queues what happened for every endpoint that wants it. A push, mount or delete: resolves when that is durable, so that it
   * can be acknowledged then, and rejects when it could not be written. A pull: at once; nobody waits for it.
   */
  notify(change: Change): void | Promise<void>;
  /** Whether any endpoint would be told of such a change: before anything is gathered for it. */
  wants(change: Pick<Change, 'action' | 'mediaType'>): boolean;
  /** Whether `references` are told. */
  readonly includeReferences: boolean;
  /** By endpoint: how many events wait. Rejects when the store cannot be asked. */
  pending(): Promise<ReadonlyMap<string, number>>;
  /** Writes what waits in memory and stops delivering. What waits in the store waits on. */
  stop(): Promise<void>;
}

/** Begins to deliver what was left from before. */
export function createNotifications(options: NotificationsOptions): Notifications {
  const { endpoints, records, clock, random, report, includeReferences, eventsMax = EVENTS_MAX } = options;
  const source = { addr: options.addr, instanceID: options.instanceId };
  const deliveries = endpoints.map((endpoint) => new Delivery({ ...options, outbox: records.outbox, endpoint }));
  const wake = (): void => deliveries.forEach((delivery) => delivery.wake());
  const writer = new OutboxWriter({ records, clock, eventsMax, report, onWritten: wake });
  for (const delivery of deliveries) delivery.start();

  function entriesOf(happened: Change): readonly OutboxEntry[] {
    const change = typed(happened);
    const told = endpoints.filter((endpoint) => wants(endpoint, change));
    if (told.length === 0) return [];
    const event = eventText(change, { id: uuid(random), at: clock.now(), source, includeReferences });
    for (const { name } of told) report({ kind: 'notifications-taken', endpoint: name, count: 1 });
    return told.map(({ name }) => ({ receiver: name, repository: change.holder, event }));
  }

  return {
    notify(change) {
      const entries = entriesOf(change);
      if (change.action !== 'pull') return entries.length === 0 ? Promise.resolve() : writer.addDurably(entries);
      if (entries.length > 0) writer.add(entries);
      return undefined;
    },
    wants: (change) => endpoints.some((endpoint) => wants(endpoint, change)),
    includeReferences,
    async pending() {
      const counts = endpoints.map(async ({ name }) => [name, await records.outbox.pending(name)] as const);
      return new Map(await Promise.all(counts));
    },
    async stop() {
      await writer.close();
      await Promise.all(deliveries.map((delivery) => delivery.stop()));
    },
  };
}

/** As the official registry tells of blobs, of which it knows no other type; receivers ignore layers by it. */
const BLOB_TYPE = 'application/octet-stream';

function typed(change: Change): Change {
  return change.kind === 'blob' ? { ...change, mediaType: change.mediaType ?? BLOB_TYPE } : change;
}

/** As the official registry's ids look (RFC 9562, version 4). */
function uuid(random: Random): string {
  const hex = randomId(random);
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
