import { quotaSumsForm, quotaReservationForm, quotaUsageForm } from './forms.ts';
import type { QuotaSums, QuotaRecords } from './hosted.ts';
import { QUOTA_SUMS_KEY, quotaSlot, repositorySlot, quotaReservationKey, quotaUsageKey } from './keys.ts';
import type { Change } from './metadata-store.ts';
import { untilMade, type Table } from './table.ts';
import { usageOf } from './usage.ts';

/** What a commit makes of the entries, and adds to the sums over them. */
interface Step {
  readonly changes: readonly Change[];
  readonly used: number;
  readonly reserved: number;
}

/**
 * What the repositories of a route hold, and what is on its way to them, in a slot of the route: no commit spans it together
 * with a repository's. The sums are exact for the entries beside them, which are in the same commits. What a repository holds
 * is read after the sums that the commit stands on, so that of two that cross the later one is right.
 */
export function createQuota(table: Table): QuotaRecords {
  const { store } = table;

  async function sumsOf(slot: string): Promise<QuotaSums> {
    let [used, reserved] = [0, 0];
    for await (const { record } of table.all(slot, 'usages', quotaUsageForm)) used += record.bytes;
    for await (const { record } of table.all(slot, 'reservations', quotaReservationForm)) reserved += record.bytes;
    return { used, reserved };
  }

  /** Commits what `make` says, if it says anything. Yields the sums then. */
  function change(route: string, make: (slot: string, now: QuotaSums) => Promise<Step | undefined>): Promise<QuotaSums> {
    const slot = quotaSlot(route);
    return untilMade(async () => {
      const { bytes, record } = await table.getStored(slot, QUOTA_SUMS_KEY, quotaSumsForm);
      const now = record ?? (await sumsOf(slot));
      const step = await make(slot, now);
      if (step === undefined) return now;
      const next = { used: Math.max(0, now.used + step.used), reserved: Math.max(0, now.reserved + step.reserved) };
      // Counted on, so that sums that come back to what they were are another value.
      const value = quotaSumsForm.encode({ ...next, count: (record?.count ?? 0) + 1 });
      const made = await store.commit(
        slot,
        [...step.changes, { key: QUOTA_SUMS_KEY, value }],
        [{ key: QUOTA_SUMS_KEY, value: bytes }],
      );
      return made ? next : undefined;
    });
  }

  async function end(slot: string, id: string): Promise<Step> {
    const key = quotaReservationKey(id);
    const { bytes, record } = await table.getStored(slot, key, quotaReservationForm);
    const changes = bytes === undefined ? [] : [{ key, value: undefined }];
    return { changes, used: 0, reserved: -(record?.bytes ?? 0) };
  }

  /** The entry of a repository becomes what it holds; 0: there is none. */
  async function enter(slot: string, repository: string, holds: number): Promise<Step> {
    const key = quotaUsageKey(repository);
    const { bytes, record } = await table.getStored(slot, key, quotaUsageForm);
    const stands = holds === 0 ? bytes === undefined : record?.bytes === holds;
    const value = holds === 0 ? undefined : quotaUsageForm.encode({ repository, bytes: holds });
    return { changes: stands ? [] : [{ key, value }], used: holds - (record?.bytes ?? 0), reserved: 0 };
  }

  return {
    hostedBytes: async (repository) => usageOf(table, repositorySlot(repository)),
    async sums(route) {
      const record = await table.get(quotaSlot(route), QUOTA_SUMS_KEY, quotaSumsForm);
      const { used, reserved } = record ?? (await sumsOf(quotaSlot(route)));
      return { used, reserved };
    },
    async reserve(route, id, record, limit) {
      let full = false;
      const { used, reserved } = await change(route, async (slot, now) => {
        const key = quotaReservationKey(id);
        const before = await table.getStored(slot, key, quotaReservationForm);
        const more = record.bytes - (before.record?.bytes ?? 0);
        // What gives room back is never refused, however full the route is.
        full = more > 0 && now.used + now.reserved + more > limit;
        if (full || more === 0) return undefined;
        return { changes: [{ key, value: quotaReservationForm.encode({ ...record, id }) }], used: 0, reserved: more };
      });
      return { kind: full ? 'full' : 'reserved', used, reserved };
    },
    async settle(route, repository, id) {
      await change(route, async (slot) => {
        const entered = await enter(slot, repository, await usageOf(table, repositorySlot(repository)));
        const ended = id === undefined ? { changes: [], reserved: 0 } : await end(slot, id);
        const changes = [...entered.changes, ...ended.changes];
        return changes.length === 0 ? undefined : { changes, used: entered.used, reserved: ended.reserved };
      });
    },
    async strike(route, repository) {
      await change(route, async (slot) => {
        const step = await enter(slot, repository, 0);
        return step.changes.length === 0 ? undefined : step;
      });
    },
    async release(route, id) {
      await change(route, async (slot) => {
        const step = await end(slot, id);
        return step.changes.length === 0 ? undefined : step;
      });
    },
    async counted(route, after, limit) {
      const page = await table.list(quotaSlot(route), 'usages', after, limit, quotaUsageForm);
      return page.map(({ id: cursor, record: { repository } }) => ({ cursor, repository }));
    },
    async reservations(route, after, limit) {
      const page = await table.list(quotaSlot(route), 'reservations', after, limit, quotaReservationForm);
      return page.map(({ id: cursor, record }) => ({ cursor, ...record }));
    },
  };
}
