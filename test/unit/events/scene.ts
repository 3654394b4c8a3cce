import { createRecords, type Records } from '../../../src/metadata/records.ts';
import type { MetadataStore } from '../../../src/metadata/metadata-store.ts';
import type { Change } from '../../../src/events/change.ts';
import type { Send } from '../../../src/events/delivery.ts';
import type { Endpoint } from '../../../src/events/endpoint.ts';
import type { NotificationEvent } from '../../../src/events/events.ts';
import { createNotifications, type Notifications, type NotificationsOptions } from '../../../src/events/notifications.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { FakeClock } from '../../fakes/fake-clock.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

export const endpoint = (more: Partial<Endpoint> = {}): Endpoint => ({
  name: 'ci',
  url: 'http://receiver.test/hook',
  headers: {},
  timeoutMs: 1_000,
  threshold: 3,
  backoffMs: 5_000,
  ignoredMediaTypes: new Set(),
  ignoredActions: new Set(),
  secret: undefined,
  ...more,
});

export const change = (tag: string, more: Partial<Change> = {}): Change => ({
  action: 'push',
  kind: 'manifest',
  holder: 'registry.test/team/app',
  repository: 'team/app',
  digest: digestOf(Buffer.from(tag)),
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: tag.length,
  tag,
  address: 'https://registry.test',
  request: { id: 'r1', addr: '10.0.0.7', host: 'registry.test', method: 'PUT', useragent: 'docker/29' },
  ...more,
});

/** What is told of an event, as far as tests look at it. */
export interface Told {
  readonly id: string;
  readonly action: string;
  readonly timestamp: string;
  readonly target: Readonly<Record<string, unknown>> & { readonly tag?: string; readonly repository: string };
}

/** A receiver that is up until it is told otherwise. */
export function createReceiver() {
  const told: Told[] = [];
  const requests: { url: string; headers: Readonly<Record<string, readonly string[]>>; body: string }[] = [];
  let answer: () => number | Promise<number> = () => 200;
  const send: Send = async (url, { headers, body }, signal) => {
    const text = Buffer.from(body).toString();
    requests.push({ url, headers, body: text });
    const late = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    const status = await Promise.race([Promise.resolve(answer()), late]);
    if (status < 300) told.push(...(JSON.parse(text) as { events: Told[] }).events);
    return status;
  };
  return {
    send,
    requests,
    told,
    tags: (repository?: string) =>
      told.filter(({ target }) => repository === undefined || target.repository === repository).map(({ target }) => target.tag),
    answers: (next: () => number | Promise<number>) => void (answer = next),
  };
}

export interface Process {
  readonly notifications: Notifications;
  readonly records: Records;
  readonly reported: NotificationEvent[];
  count(kind: NotificationEvent['kind']): number;
}

let seeds = 1;

/** One process on a store; several may share it. */
export function startProcess(
  store: MetadataStore,
  clock: FakeClock,
  send: Send,
  more: Partial<NotificationsOptions> = {},
): Process {
  const records = createRecords(store, { clock });
  const reported: NotificationEvent[] = [];
  const notifications = createNotifications({
    endpoints: [endpoint()],
    includeReferences: false,
    records,
    clock,
    random: createSeededRandom(seeds++),
    holder: 'host 1 a',
    isDead: () => false,
    addr: 'host:5000',
    instanceId: 'i',
    send,
    report: (event) => reported.push(event),
    ...more,
  });
  return { notifications, records, reported, count: (kind) => reported.filter((event) => event.kind === kind).length };
}

/** One step of the clock after the other, until it holds; what a process does with its store comes to its end in between. */
export async function until(clock: FakeClock, holds: () => boolean | Promise<boolean>, stepMs = 250): Promise<void> {
  for (;;) {
    await settled(clock);
    if (await holds()) return;
    await clock.advance(stepMs);
  }
}

/** Lets this time pass for whoever has this clock. */
export async function pass(clock: FakeClock, ms: number): Promise<void> {
  const end = clock.monotonic() + ms;
  await until(clock, () => clock.monotonic() >= end);
}

/** A delivery always waits for the clock, for an answer or for its next look, unless the store is at work for it. */
async function settled(clock: FakeClock): Promise<void> {
  do await new Promise<void>((resolve) => setImmediate(resolve));
  while (clock.pending() === 0);
}
