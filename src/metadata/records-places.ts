import type { Clock } from '../system/clock.ts';
import { waitingEndsForm, waitingForm } from './forms.ts';
import { WAITING_ENDS_KEY, numberOf, receiverSlot, waitingKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Change, MaybePromise } from './metadata-store.ts';
import { untilMade, type Stored, type Table } from './table.ts';

/** A place in a receiver's line: it leads to a repository whose outbox holds an event, and says whose turn it is. */
export interface Place {
  readonly number: number;
  readonly repository: string;
}

/** The line before each receiver, oldest first; in one slot, so that its length is known and held. */
export interface Places {
  /** Takes places at the end, in one commit. So that no more than `max` are taken, the oldest are `givenUp`. */
  take(
    receiver: string,
    repositories: readonly string[],
    max: number,
  ): Promise<{ readonly taken: readonly Place[]; readonly givenUp: readonly Place[] }>;
  first(receiver: string): MaybePromise<Place | undefined>;
  leave(receiver: string, place: Place): Promise<void>;
  isThere(receiver: string, place: Place): Promise<boolean>;
  count(receiver: string): MaybePromise<number>;
}

interface Ends {
  readonly first: number;
  readonly next: number;
}

export function createPlaces({ store, ...table }: Table, clock: Clock): Places {
  async function oldest(receiver: string, count: number): Promise<readonly Place[]> {
    if (count === 0) return [];
    const found = await table.list(receiverSlot(receiver), 'waiting', undefined, count, waitingForm);
    return found.map(({ id, record }) => ({ number: numberOf(id), repository: record.repository }));
  }

  /** Of a record that cannot be read nothing is known but that it is older than now: go on above any count so far. */
  function endsOf({ bytes, record }: Stored<Ends>): Ends {
    return record ?? (bytes === undefined ? { first: 0, next: 0 } : { first: clock.now(), next: clock.now() });
  }

  /** Commits what `change` makes of the ends, until no other commit comes between. */
  function change<T>(
    receiver: string,
    make: (ends: Ends) => Promise<{ readonly changes: readonly Change[]; readonly ends: Ends; readonly made: T }>,
  ): Promise<T> {
    const slot = receiverSlot(receiver);
    return untilMade(async () => {
      const before = await table.getStored(slot, WAITING_ENDS_KEY, waitingEndsForm);
      const { changes, ends, made } = await make(endsOf(before));
      const end = { key: WAITING_ENDS_KEY, value: waitingEndsForm.encode(ends) };
      const committed = await store.commit(slot, [...changes, end], [{ key: WAITING_ENDS_KEY, value: before.bytes }]);
      return committed ? { made } : undefined;
    }).then(({ made }) => made);
  }

  return {
    take: (receiver, repositories, max) =>
      change(receiver, async ({ first, next }) => {
        const excess = Math.min(next - first, Math.max(0, next - first + repositories.length - max));
        const givenUp = await oldest(receiver, excess);
        const taken = repositories.map((repository, at) => ({ repository, number: next + at }));
        const changes = [
          ...givenUp.map(({ number }) => ({ key: waitingKey(number), value: undefined })),
          ...taken.map(({ number, repository }) => ({ key: waitingKey(number), value: waitingForm.encode({ repository }) })),
        ];
        return { changes, ends: { first: first + excess, next: next + taken.length }, made: { taken, givenUp } };
      }),
    first: (receiver) => andThen(oldest(receiver, 1), ([place]) => place),
    leave: (receiver, { number }) =>
      change(receiver, async ({ first, next }) => ({
        changes: [{ key: waitingKey(number), value: undefined }],
        ends: { first: Math.max(first, number + 1), next },
        made: undefined,
      })),
    isThere: async (receiver, { number }) => (await store.get(receiverSlot(receiver), waitingKey(number))) !== undefined,
    count: (receiver) =>
      andThen(table.get(receiverSlot(receiver), WAITING_ENDS_KEY, waitingEndsForm), (ends) =>
        ends === undefined ? 0 : ends.next - ends.first,
      ),
  };
}
