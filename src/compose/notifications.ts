import { hostname } from 'node:os';
import type { Config, EndpointConfig } from '../config/config.ts';
import type { Change } from '../events/change.ts';
import type { Endpoint } from '../events/endpoint.ts';
import type { NotificationEvent } from '../events/events.ts';
import type { Notifications } from '../events/notifications.ts';
import type { RequestEvent } from '../observe/events.ts';
import type { Clock } from '../system/clock.ts';
import { randomId, type Random } from '../system/random.ts';
import type { Chains } from './chains.ts';
import { pullOf, referencesOf, type Pull } from './pulled.ts';
import { sendNotification } from './receiver.ts';
import type { Storage } from './storage.ts';

/** Pulls that may wait to be looked up; a store that hangs must not make them pile up. */
const PULLS_WAITING_MAX = 10_000;

export interface NotifierDeps {
  readonly system: { readonly clock: Clock; readonly random: Random };
  readonly storage: Pick<Storage, 'records' | 'blobs' | 'holder' | 'isDead'>;
  readonly chains: () => Chains;
  readonly report: (event: NotificationEvent) => void;
}

/** Notifications as the configuration of the moment has them; where it names no endpoint nothing of them is loaded. */
export interface Notifier {
  /** As {@link Notifications.notify}. */
  notify(change: Change): void | Promise<void>;
  /** A request has ended: where it was a pull that was served, it is told. */
  onRequest(event: RequestEvent): void;
  /** By endpoint: how many events wait. */
  pending(): Promise<ReadonlyMap<string, number>>;
  /** Takes other endpoints; what is delivered for the former ones ends first. */
  apply(config: Config): Promise<void>;
  stop(): Promise<void>;
}

export function createNotifier({ system, storage, chains, report }: NotifierDeps): Notifier {
  const instanceId = randomId(system.random);
  let now: Notifications | undefined;
  let endpoints: readonly EndpointConfig[] = [];
  /** Ends when the endpoints of the last `apply` are there. */
  let changing: Promise<void> | undefined;
  let pulls: Promise<void> = Promise.resolve();
  let pullsWaiting = 0;

  async function change(config: Config | undefined): Promise<void> {
    const before = now;
    now = undefined;
    await before?.stop();
    endpoints = config?.notifications.endpoints ?? [];
    if (config === undefined || endpoints.length === 0) return;
    // What is not configured is not loaded.
    const { createNotifications } = await import('../events/notifications.ts');
    now = createNotifications({
      ...system,
      endpoints: endpoints.map(toEndpoint),
      includeReferences: config.notifications.includereferences,
      records: storage.records,
      holder: storage.holder,
      isDead: storage.isDead,
      addr: `${hostname()}:${config.http.addr.port}`,
      instanceId,
      send: sendNotification,
      report,
    });
  }

  function become(config: Config | undefined): Promise<void> {
    const changed = (changing ?? Promise.resolve()).then(() => change(config));
    const over = changed.finally(() => {
      if (changing === over) changing = undefined;
    });
    changing = over;
    return over;
  }

  async function pulled(event: RequestEvent, pull: Pull): Promise<void> {
    await changing;
    if (now?.wants({ action: 'pull', mediaType: undefined }) !== true) return;
    const { records, blobs } = storage;
    const link =
      pull.kind === 'blob' ? undefined : await Promise.resolve(records.link(pull.holder, pull.digest)).catch(nothing);
    const references =
      now.includeReferences && pull.kind === 'manifest' ? await referencesOf(blobs, pull.digest, link?.mediaType) : undefined;
    const { config, showName } = chains();
    const address = config.http.host ?? event.publicAddress();
    await now.notify({
      ...pull,
      action: 'pull',
      repository: showName(event.host)(pull.holder) ?? pull.holder,
      mediaType: link?.mediaType,
      references,
      address: address && `${address}${config.http.prefix}`,
      request: {
        id: event.trace.requestId,
        addr: event.client,
        host: event.host,
        method: event.method,
        useragent: event.userAgent,
      },
    });
  }

  return {
    notify: (made) => (changing === undefined ? now?.notify(made) : changing.then(() => now?.notify(made))),
    onRequest(event) {
      if (endpoints.length === 0) return;
      const pull = pullOf(event);
      if (pull === undefined) return;
      if (pullsWaiting >= PULLS_WAITING_MAX) {
        for (const { name } of endpoints) report({ kind: 'notifications-dropped', endpoint: name, count: 1 });
        return;
      }
      pullsWaiting++;
      // One after the other, so that they keep their order.
      pulls = pulls
        .then(() => pulled(event, pull))
        .catch(nothing)
        .finally(() => pullsWaiting--);
    },
    pending: async () => (await now?.pending()) ?? new Map(),
    apply: become,
    async stop() {
      await pulls;
      await become(undefined);
    },
  };
}

function toEndpoint(config: EndpointConfig): Endpoint {
  return {
    name: config.name,
    url: config.url.reveal(),
    headers: Object.fromEntries([...config.headers].map(([name, values]) => [name, values.map((value) => value.reveal())])),
    timeoutMs: config.timeout,
    threshold: config.threshold,
    backoffMs: config.backoff,
    ignoredMediaTypes: new Set(config.ignoredmediatypes),
    ignoredActions: new Set(config.ignoredactions),
    secret: config.secret?.reveal(),
  };
}

function nothing(): undefined {
  return undefined;
}
