import type { Clock } from '../system/clock.ts';
import type { Outcome, RequestEvent } from '../observe/events.ts';
import { createTail } from './tail.ts';

/** One client, as `clients` shows it. Times are ms since the epoch. */
export interface RecentClient {
  readonly address: string;
  readonly kind: string;
  readonly userAgent: string;
  readonly requests: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Requests for one type since the start, by how they were answered. */
export type Tally = Readonly<Partial<Record<Outcome, number>>>;

/** What is remembered, in memory and bounded, of the requests that were answered. */
export interface Recent {
  onRequest(event: RequestEvent): void;
  tally(): { readonly blob: Tally; readonly manifest: Tally };
  /** Of the last hour, the latest first. */
  clients(): readonly RecentClient[];
  /** For `entrepot_clients`. */
  clientCounts(): ReadonlyMap<string, number>;
  /** One readable line a request from now on, until the signal. */
  tail(signal: AbortSignal): AsyncIterable<string>;
  /** Another process of this server answered a request. */
  heard(line: string): void;
}

/** Beyond these the client that was silent longest is forgotten. */
export const CLIENTS_MAX = 10_000;
export const RECENT_MS = 3_600_000;

export function createRecent(clock: Clock): Recent {
  const clients = new Map<string, RecentClient>();
  const tallies = { blob: {} as Record<string, number>, manifest: {} as Record<string, number> };
  const tail = createTail();

  const recent = (): RecentClient[] => {
    const since = clock.now() - RECENT_MS;
    return [...clients.values()].filter((client) => client.last >= since).reverse();
  };
  return {
    onRequest(event) {
      const { type, outcome } = event.trace;
      if (type !== undefined && outcome !== undefined) tallies[type][outcome] = (tallies[type][outcome] ?? 0) + 1;
      noteClient(clients, event, clock.now());
      tail.push(event, clock.now());
    },
    tally: () => ({ blob: { ...tallies.blob }, manifest: { ...tallies.manifest } }),
    clients: recent,
    clientCounts() {
      const counts = new Map<string, number>();
      for (const { kind } of recent()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
      return counts;
    },
    tail: (signal) => tail.lines(signal),
    heard: (line) => tail.pushLine(line),
  };
}

/** A client is an address and a kind: behind one address (a node, a gateway) several may live. Kept in order of last use. */
function noteClient(clients: Map<string, RecentClient>, event: RequestEvent, now: number): void {
  const kind = event.clientKind;
  const key = `${kind} ${event.client}`;
  const before = clients.get(key);
  clients.delete(key);
  clients.set(key, {
    address: event.client,
    kind,
    userAgent: (event.userAgent ?? '').slice(0, 256),
    requests: (before?.requests ?? 0) + 1,
    bytes: (before?.bytes ?? 0) + event.bytes,
    first: before?.first ?? now,
    last: now,
  });
  const oldest = clients.keys().next().value;
  if (clients.size > CLIENTS_MAX && oldest !== undefined) clients.delete(oldest);
}
