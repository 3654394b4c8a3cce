import type { InventoryPlace } from '../../../src/metadata/records.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

const PAGE = 500;

/** A lower limit holds when the evictor has looked (evict/evictor.ts), and a restart may come between. */
const LOOKED_MS = 30_000;

/** What is counted is the sum of what is counted, and the cache stays below its limit. */
export const counters: Check = {
  of: 'I5, promise 6',
  async onQuiet(world) {
    const { inventory } = world.server.storage.records;
    const usage = await inventory.usage();
    const entries = await entriesOf(world);
    const reservations = await inventory.reservations(undefined, PAGE);
    const sums = {
      bytes: entries.reduce((sum, { size }) => sum + size, 0),
      blobs: entries.length,
      reserved: reservations.reduce((sum, { bytes }) => sum + bytes, 0),
    };
    const wrong = (['bytes', 'blobs', 'reserved'] as const).filter((name) => usage[name] !== sums[name]);
    const { maxBytes } = world.server.config().cache;
    const mayGo = maxBytes !== undefined && isSettled(world) && !anyOffline(world);
    return [
      ...wrong.map((name) => `the inventory counts ${usage[name]} ${name}: its entries have ${sums[name]}`),
      ...(mayGo && usage.bytes + usage.reserved > maxBytes
        ? [`the cache has ${usage.bytes} and ${usage.reserved} reserved bytes of at most ${maxBytes}`]
        : []),
    ];
  },
};

/** What nobody could fetch again is never evicted, whatever the limit (evict/keep.ts). */
function anyOffline({ server }: World): boolean {
  return server.config().routes.some(({ policy }) => policy.offline);
}

/** Neither a reload nor trouble came so late that nobody can have looked since. */
function isSettled({ now, settingsSince, calmSince = Infinity }: World): boolean {
  return now - Math.max(settingsSince, calmSince) > LOOKED_MS;
}

async function entriesOf({ server }: World): Promise<readonly InventoryPlace[]> {
  const found: InventoryPlace[] = [];
  for (;;) {
    const page = await server.storage.records.inventory.oldest(found.at(-1), PAGE);
    found.push(...page);
    if (page.length < PAGE) return found;
  }
}
