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
  const clients = createClients();
  const tallies = { blob: {} as Record<string, number>, manifest: {} as Record<string, number> };
  const tail = createTail();

  const recent = (): RecentClient[] => {
    const since = clock.now() - RECENT_MS;
    return clients
      .all()
      .filter((client) => client.last >= since)
      .map((client) => ({ ...client }))
      .reverse();
  };
  return {
    onRequest(event) {
      const { type, outcome } = event.trace;
      if (type !== undefined && outcome !== undefined) tallies[type][outcome] = (tallies[type][outcome] ?? 0) + 1;
      clients.note(event, clock.now());
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

/** As {@link RecentClient}, while it is counted. */
type Counted = { -readonly [K in keyof RecentClient]: RecentClient[K] };

/** A client is an address and a kind: behind one address (a node, a gateway) several may live. Kept in order of last use. */
function createClients(): { note(event: RequestEvent, now: number): void; all(): readonly RecentClient[] } {
  const clients = new Map<string, Counted>();
  let latest: Counted | undefined;
  return {
    note({ client: address, clientKind: kind, userAgent = '', bytes }, now) {
      if (latest?.address !== address || latest.kind !== kind) latest = asLatest(clients, address, kind, now);
      // Many come in a row from one, and a text of theirs is mostly the same.
      if (latest.userAgent !== userAgent) latest.userAgent = userAgent.slice(0, 256);
      latest.requests += 1;
      latest.bytes += bytes;
      latest.last = now;
    },
    all: () => [...clients.values()],
  };
}

function asLatest(clients: Map<string, Counted>, address: string, kind: string, now: number): Counted {
  const key = `${kind} ${address}`;
  const client = clients.get(key) ?? { address, kind, userAgent: '', requests: 0, bytes: 0, first: now, last: now };
  clients.delete(key);
  clients.set(key, client);
  const oldest = clients.keys().next().value;
  if (clients.size > CLIENTS_MAX && oldest !== undefined) clients.delete(oldest);
  return client;
}
