import type { Admin } from '../admin/admin.ts';
import { clientsOfAll } from '../admin/clients-of-all.ts';
import type { Recent, RecentClient } from '../admin/recent.ts';
import { statusOfAll } from '../admin/status-of-all.ts';
import type { Status, WorkersStatus } from '../admin/status.ts';
import { textOfShares, type Metrics, type Share } from '../observe/metrics.ts';
import type { Clock, Timer } from '../system/clock.ts';
import type { Siblings } from '../workers/siblings.ts';

export interface AllWorkersParts {
  readonly siblings: Siblings;
  readonly recent: Recent;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** What is told of all workers, whichever of them is asked. */
export interface AllWorkers {
  /** The same with what only each process by itself knows, of all of them. */
  admin(own: Admin): Admin;
  /** As `Metrics.text`. */
  metricsText(): Promise<string>;
}

/** How long a worker goes on passing on its requests to who watches elsewhere, without having been asked again. */
const RELAY_MS = 15_000;

/** What the primary knows. */
type Known = WorkersStatus & { readonly started: number; readonly dropped: number };

export function createAllWorkers(parts: AllWorkersParts): AllWorkers {
  const { siblings, metrics, recent } = parts;
  if (siblings.count === 1) return { admin: (own) => own, metricsText: () => metrics.text() };
  siblings.answer('metrics', () => metrics.share());
  siblings.answer('clients', () => recent.clients());
  const tail = tailOfAll(parts);
  const clients = async (): Promise<readonly RecentClient[]> =>
    clientsOfAll([recent.clients(), ...((await siblings.gather('clients')) as readonly (readonly RecentClient[])[])]);
  return {
    admin(own) {
      siblings.answer('status', () => own.status());
      return {
        ...own,
        async status() {
          const [mine, others, known] = await Promise.all([own.status(), siblings.gather('status'), siblings.ask('workers')]);
          const { workers, restarted, dropped, started } = known as Known;
          const whole = statusOfAll(mine, others as readonly Status[], { workers, restarted }, dropped);
          return { ...whole, started: new Date(started).toISOString(), uptimeMs: parts.clock.now() - started };
        },
        clients,
        tail,
      };
    },
    async metricsText() {
      const own = await metrics.share();
      const [shares, all] = await Promise.all([siblings.ask('metrics', own), clients()]);
      return textOfShares((shares as readonly Share[]).map((share) => withClients(share, all)));
    },
  };
}

/** Each process counts whoever came to it; whoever came to several is one client. */
function withClients(share: Share, clients: readonly RecentClient[]): Share {
  return share.map((metric) => {
    if (metric.name !== 'entrepot_clients') return metric;
    const counts = new Map<string, number>();
    for (const { kind } of clients) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return { ...metric, values: [...counts].map(([kind, value]) => ({ value, labels: { kind } })) } as typeof metric;
  });
}

/** While somebody watches here, all others pass on what they answer; for as long as they are reminded. */
function tailOfAll({ siblings, recent, clock }: AllWorkersParts): Admin['tail'] {
  let watching = 0;
  let reminding: Timer | undefined;
  let relaying: { untilMs: number; readonly end: AbortController } | undefined;

  function remind(): void {
    reminding = undefined;
    if (watching === 0) return;
    siblings.tell('relay');
    reminding = clock.after(RELAY_MS / 3, remind);
  }

  async function relay(until: { untilMs: number; readonly end: AbortController }): Promise<void> {
    const look = (): void => {
      const left = until.untilMs - clock.monotonic();
      if (left > 0) clock.after(left, look);
      else until.end.abort(new Error('nobody watches any more'));
    };
    look();
    for await (const line of recent.tail(until.end.signal)) siblings.tell('line', line);
    relaying = undefined;
  }

  siblings.answer('relay', () => {
    // Whoever watches tells nobody.
    if (watching > 0) return;
    const untilMs = clock.monotonic() + RELAY_MS;
    if (relaying !== undefined) return void (relaying.untilMs = untilMs);
    relaying = { untilMs, end: new AbortController() };
    void relay(relaying);
  });
  siblings.answer('line', (line: string) => watching > 0 && recent.heard(line));

  return (signal) => {
    watching += 1;
    const leave = (): void => void (watching -= 1);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    if (reminding === undefined) remind();
    return recent.tail(signal);
  };
}
