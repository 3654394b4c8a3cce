import type { RecentClient } from './recent.ts';

/** Clients of a server whose every process has told its own, the latest first: whoever came to several is one. */
export function clientsOfAll(told: readonly (readonly RecentClient[])[]): readonly RecentClient[] {
  const clients = new Map<string, RecentClient>();
  for (const client of told.flat()) {
    const key = `${client.kind} ${client.address}`;
    const before = clients.get(key);
    clients.set(key, before === undefined ? client : both(before, client));
  }
  return [...clients.values()].toSorted((left, right) => right.last - left.last);
}

function both(one: RecentClient, other: RecentClient): RecentClient {
  return {
    ...(one.last >= other.last ? one : other),
    requests: one.requests + other.requests,
    bytes: one.bytes + other.bytes,
    first: Math.min(one.first, other.first),
    last: Math.max(one.last, other.last),
  };
}
