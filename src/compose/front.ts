import { clientConfiguration, isConfigurableClient, printClientConfiguration } from '../admin/client/client-configuration.ts';
import { ClientConfigurationError } from '../admin/client/configuration.ts';
import type { Auth } from '../auth/auth.ts';
import { clientRegistries } from '../commands/client.ts';
import type { Config } from '../config/config.ts';
import { createApp } from '../http/app.ts';
import type { createBuffers } from '../http/buffers.ts';
import { createClientAddresses, type ClientAddresses } from '../http/client-address.ts';
import { createDateField } from '../http/date-field.ts';
import { createDebugApp } from '../http/debug.ts';
import { createHandler, type Fetch, type Handler, type HandlerOptions } from '../http/handler.ts';
import type { Limits } from '../http/limits.ts';
import { createStallWatch } from '../http/outlet.ts';
import { createRepeats, type Repeats } from '../http/repeats.ts';
import { createSender, type Sender } from '../http/sender.ts';
import { KEEP_ALIVE_MS } from '../http/server.ts';
import { clientKind } from '../observe/client-kind.ts';
import type { HouseEvent } from '../observe/events.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Pseudonym } from '../oci/via.ts';
import { newTrace } from '../pull/trace.ts';
import type { Push } from '../push/push.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import { createIds, type Random } from '../system/random.ts';
import { soon } from '../system/turn.ts';
import type { Chains } from './chains.ts';
import type { Condition } from './condition.ts';
import { passesOn } from './passes-on.ts';
import type { Pulling } from './pulling.ts';

/** What outlives a reload. */
export interface FrontDeps {
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  readonly report: (event: HouseEvent) => void;
  readonly chains: () => Chains;
  readonly pulling: Pulling;
  readonly push: Push;
  /** As which this mirror signs what it asks of others. */
  readonly pseudonym: Pseudonym;
  readonly condition: Condition;
  readonly metrics: Pick<Metrics, 'contentType' | 'text'>;
  readonly limits: Limits;
  readonly buffers: ReturnType<typeof createBuffers>;
  /** Of `health`: what fails, by its name. */
  readonly failing: () => Readonly<Record<string, string>>;
}

/** What answers requests, as one configuration says. */
export interface Front {
  readonly main: Handler;
  readonly debug: Handler;
  /** Of the main one; a reload forgets all. */
  readonly repeats: Repeats;
  readonly addresses: ClientAddresses;
}

/** With the auth of the same configuration. */
export function createFront(deps: FrontDeps, config: Config, auth: Auth): Front {
  const { system, report, pulling, chains, limits, buffers } = deps;
  const addresses = createClientAddresses(config.http.trustedproxies);
  const stalls = createStallWatch(system.clock, config.http.stalltimeout);
  const send = createSender({ clock: system.clock, buffers, stalls, soon });
  const shared = { clock: system.clock, report, addresses, newId: createIds(system.random), newTrace };
  const repeats = createRepeats({
    ...shared,
    limits,
    stalls,
    soon,
    date: createDateField(() => system.clock.now()),
    keepAliveSeconds: KEEP_ALIVE_MS / 1000,
    parseName: (target, host) => chains().parseName(target, host),
    ready: pulling.ready,
  });
  const handler = (fetch: Fetch, more: Pick<HandlerOptions, 'repeats'> = {}): Handler =>
    createHandler({
      ...shared,
      ...more,
      fetch,
      send,
      clientKind,
      stallMs: config.http.stalltimeout,
      headers: Object.fromEntries(config.http.headers),
    });
  return {
    main: handler(mainApp(deps, config, auth, send, addresses), { repeats }),
    debug: handler(debugApp(deps, config, send)),
    repeats,
    addresses,
  };
}

function mainApp(
  { report, chains, pulling, push, limits, condition, pseudonym }: FrontDeps,
  config: Config,
  auth: Auth,
  send: Sender,
  addresses: ClientAddresses,
): Fetch {
  return createApp({
    pseudonym,
    passesOn: passesOn(config),
    send,
    report,
    addresses,
    parseName: (target, host) => chains().parseName(target, host),
    showName: (host) => chains().showName(host),
    pull: pulling.pull,
    lists: pulling.lists,
    push,
    auth,
    limits,
    readiness: () => condition.readiness(),
    pathPrefix: config.http.prefix,
    publicUrl: config.http.host,
    clientText: (kind, url) => clientText(kind, url, clientRegistries(config)),
  });
}

function clientText(kind: string, url: string, registries: readonly string[]): string | undefined {
  if (!isConfigurableClient(kind)) return undefined;
  try {
    return printClientConfiguration(clientConfiguration(kind, { url, registries, only: false }));
  } catch (error) {
    if (error instanceof ClientConfigurationError) return `${error.message}\n`;
    throw error;
  }
}

function upstreamsDown({ upstreams }: Chains): Readonly<Record<string, string>> {
  const down = upstreams.statuses().filter(({ up }) => !up);
  return Object.fromEntries(down.map(({ name, lastError }) => [`upstream ${name}`, lastError ?? 'is down']));
}

function debugApp({ report, chains, condition, metrics, failing }: FrontDeps, config: Config, send: Sender): Fetch {
  const path = config.http.debug?.metricsPath;
  const read = async () => ({ contentType: metrics.contentType, text: await metrics.text() });
  return createDebugApp({
    send,
    report,
    readiness: () => condition.readiness(),
    health: failing,
    down: () => upstreamsDown(chains()),
    metrics: path === undefined ? undefined : { path, read },
  });
}
