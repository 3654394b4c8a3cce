import type { Clock } from '../system/clock.ts';
import { outboxForm, outboxLastForm } from './forms.ts';
import { OUTBOX_LAST_KEY, outboxKey, outboxStart, receiverSlot, repositorySlot } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { MaybePromise } from './metadata-store.ts';
import { createLeasesOf, type LeasesOf } from './records-leases.ts';
import { createPlaces, type Place } from './records-places.ts';
import { untilMade, type Table } from './table.ts';

/** What receivers of notifications are still to be told, in the order of each repository. The leases are of receivers. */
export interface Outbox extends LeasesOf<string> {
  /**
   * Adds events at the end. Of each receiver no more than `eventsMax` wait: its oldest are dropped for them, and counted in
   * what this yields, by receiver. Visible when it resolves, durable after `flushed`. When it rejects, some may have been added.
   */
  append(entries: readonly OutboxEntry[], eventsMax: number): Promise<ReadonlyMap<string, number>>;
  /** What the receiver is to be told next. */
  head(receiver: string): Promise<Waiting | undefined>;
  /** The head was told, or leads nowhere. */
  remove(receiver: string, head: Waiting): Promise<void>;
  /** How many wait. */
  pending(receiver: string): MaybePromise<number>;
}

export interface OutboxEntry {
  readonly receiver: string;
  readonly repository: string;
  /** As it is to be told. */
  readonly event: string;
}

export interface Waiting extends Place {
  /** `undefined`: another place led to it before, or its writer has not come to it yet. */
  readonly event: { readonly id: string; readonly text: string } | undefined;
}

/**
 * An event lies in its repository's slot, in the order of that repository's commits. A place in the receiver's slot leads to
 * the repository. Places are taken first: one that leads nowhere is harmless. Whoever has written an event looks whether its
 * place has gone meanwhile, and whoever gave up a place that led nowhere looks whether it does by now: of two that cross, the
 * later one takes another place.
 */
export function createOutbox(table: Table, clock: Clock): Outbox {
  const { store } = table;
  const places = createPlaces(table, clock);

  function firstEvent(receiver: string, repository: string): MaybePromise<Waiting['event']> {
    const start = outboxStart(receiver);
    const found = table.list(repositorySlot(repository), 'outbox', start, 1, outboxForm);
    return andThen(found, ([entry]) =>
      entry?.id.startsWith(start) === true ? { id: entry.id, text: entry.record.event } : undefined,
    );
  }

  const forget = (repository: string, id: string): Promise<boolean> =>
    store.commit(repositorySlot(repository), [{ key: ['outbox', id], value: undefined }]);

  async function takePlaces(receiver: string, repositories: readonly string[], max: number): Promise<Taken> {
    const { taken, givenUp } = await places.take(receiver, repositories, max);
    for (const { repository } of givenUp) {
      const oldest = await firstEvent(receiver, repository);
      if (oldest !== undefined) await forget(repository, oldest.id);
    }
    return { taken, dropped: givenUp.length };
  }

  /** For events whose places have gone. One too many is harmless. */
  async function takeAgain(receiver: string, taken: readonly Place[], max: number): Promise<Taken> {
    const lost = await Promise.all(
      taken.map(async (place) => {
        if (await places.isThere(receiver, place)) return [];
        return (await firstEvent(receiver, place.repository)) === undefined ? [] : [place.repository];
      }),
    );
    return lost.every(({ length }) => length === 0) ? { taken: [], dropped: 0 } : takePlaces(receiver, lost.flat(), max);
  }

  /** The events of one repository, in one commit that numbers them. */
  async function write(repository: string, entries: readonly OutboxEntry[]): Promise<void> {
    const slot = repositorySlot(repository);
    await untilMade(async () => {
      const before = await table.getStored(slot, OUTBOX_LAST_KEY, outboxLastForm);
      // Of a record that cannot be read nothing is known but that it is older than now.
      const last = before.record?.last ?? (before.bytes === undefined ? 0 : clock.now());
      const changes = entries.map(({ receiver, event }, at) => ({
        key: outboxKey(receiver, last + 1 + at),
        value: outboxForm.encode({ event }),
      }));
      const end = { key: OUTBOX_LAST_KEY, value: outboxLastForm.encode({ last: last + entries.length }) };
      return (await store.commit(slot, [...changes, end], [{ key: OUTBOX_LAST_KEY, value: before.bytes }])) || undefined;
    });
  }

  return {
    ...createLeasesOf<string>(table, clock, receiverSlot),
    async append(entries, eventsMax) {
      const dropped = new Map<string, number>();
      const placed = new Map<string, readonly Place[]>();
      for (const [receiver, its] of groupedBy('receiver', entries)) {
        const first = await takePlaces(
          receiver,
          its.map(({ repository }) => repository),
          eventsMax,
        );
        placed.set(receiver, first.taken);
        dropped.set(receiver, first.dropped);
      }
      for (const [repository, its] of groupedBy('repository', entries)) await write(repository, its);
      for (const [receiver, taken] of placed) {
        const again = await takeAgain(receiver, taken, eventsMax);
        dropped.set(receiver, (dropped.get(receiver) ?? 0) + again.dropped);
      }
      return dropped;
    },
    async head(receiver) {
      const place = await places.first(receiver);
      return place && { ...place, event: await firstEvent(receiver, place.repository) };
    },
    async remove(receiver, head) {
      if (head.event !== undefined) await forget(head.repository, head.event.id);
      await places.leave(receiver, head);
      // An event that was written while its place was found to lead nowhere: its writer may have seen the place still there.
      if (head.event === undefined) await takeAgain(receiver, [head], Infinity);
    },
    pending: places.count,
  };
}

interface Taken {
  readonly taken: readonly Place[];
  readonly dropped: number;
}

function groupedBy(key: 'receiver' | 'repository', entries: readonly OutboxEntry[]): Map<string, OutboxEntry[]> {
  const groups = new Map<string, OutboxEntry[]>();
  for (const entry of entries) groups.set(entry[key], [...(groups.get(entry[key]) ?? []), entry]);
  return groups;
}
