import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CacheUsage, InventoryPlace, Records } from '../../src/metadata/records.ts';
import { parseDigest, type Digest } from '../../src/oci/digest.ts';

const PAGE = 500;

/** What lies in a data directory whose server does not run, or runs beside us. */
export interface Remains {
  /** Every file under a digest, with its size. */
  readonly files: ReadonlyMap<Digest, number>;
  /** Those that took their names within the last moments. */
  readonly fresh: ReadonlySet<Digest>;
  /** Those that are not what their name says. */
  readonly wrong: readonly string[];
  readonly entries: ReadonlyMap<string, InventoryPlace>;
  readonly usage: CacheUsage;
  /** By part. */
  readonly aside: ReadonlyMap<string, number>;
  readonly going: readonly Digest[];
  readonly hosted: ReadonlySet<string>;
  readonly parts: readonly {
    readonly id: string;
    readonly size: number;
    readonly modified: number;
    readonly upload: boolean;
  }[];
}

/** All of it, read through: every file is hashed. `freshSince`: of the system's clock. */
export async function readRemains(directory: string, records: Records, freshSince: number): Promise<Remains> {
  const files = new Map<Digest, number>();
  const fresh = new Set<Digest>();
  const wrong: string[] = [];
  for (const { digest, path } of filesOf(directory)) {
    const bytes = readFileSync(path);
    const found = createHash('sha256').update(bytes).digest('hex');
    if (digest !== `sha256:${found}`) wrong.push(`${digest} is ${found} (${bytes.length} bytes)`);
    files.set(digest, bytes.length);
    if (statSync(path).ctimeMs >= freshSince) fresh.add(digest);
  }
  const entries = new Map<string, InventoryPlace>();
  for (let after: InventoryPlace | undefined; ;) {
    const page = await records.inventory.oldest(after, PAGE);
    for (const place of page) entries.set(place.digest, place);
    after = page.at(-1);
    if (page.length < PAGE) break;
  }
  const hosted = new Set<string>();
  for (const digest of files.keys()) if (await records.isHosted(digest)) hosted.add(digest);
  const uploads = (await records.uploads(undefined, 10_000)).flatMap(({ record }) => record?.part ?? []);
  const aside = await records.inventory.reservations(undefined, 100_000);
  return {
    files,
    fresh,
    wrong,
    entries,
    usage: await records.inventory.usage(),
    aside: new Map(aside.map(({ part, bytes }) => [part, bytes])),
    going: await records.inventory.going(undefined, 100_000),
    hosted,
    parts: partFiles(directory).map((part) => ({ ...part, upload: uploads.includes(part.id) })),
  };
}

/**
 * What may never be, whatever a crash came after. `mayBePushed`: digests that a push may have published without having got as
 * far as its record.
 */
export function faultsOfRemains(remains: Remains, maxBytes: number, mayBePushed: (digest: string) => boolean): string[] {
  const { files, fresh, wrong, entries, usage, aside, hosted, parts } = remains;
  const faults = wrong.map((text) => `wrong on disk: ${text}`);
  const counted = sum([...entries.values()].map(({ size }) => size));
  if (usage.bytes !== counted) faults.push(`the sum says ${usage.bytes}, the entries ${counted}`);
  if (usage.blobs !== entries.size) faults.push(`the sum says ${usage.blobs} entries, there are ${entries.size}`);
  if (usage.reserved !== sum([...aside.values()])) faults.push(`${usage.reserved} reserved, of ${sum([...aside.values()])}`);
  if (usage.bytes + usage.reserved > maxBytes) faults.push(`${usage.bytes} + ${usage.reserved} are above ${maxBytes}`);
  for (const [digest, size] of files) {
    const entry = entries.get(digest);
    // An eviction that comes between entry and name is made good right after the name: a scrub has to, where a kill came first.
    const isKnown = entry !== undefined || fresh.has(digest) || hosted.has(digest) || mayBePushed(digest);
    if (!isKnown) faults.push(`${digest} (${size}) is not counted`);
    if (entry !== undefined && entry.size !== size) faults.push(`${digest} has ${size} bytes, counted are ${entry.size}`);
  }
  // One that nothing is set aside for is about to be published, and counted as that, or was when a process died.
  for (const { id, size } of parts)
    if (size > (aside.get(id) ?? Infinity)) faults.push(`part ${id} has ${size} bytes, set aside are ${aside.get(id)}`);
  return faults;
}

/** What a scrub would take out of the inventory: it counts what is not there. */
export function countedTooMuch({ files, entries }: Remains): readonly InventoryPlace[] {
  return [...entries.values()].filter(({ digest }) => !files.has(digest));
}

function* filesOf(directory: string): Generator<{ digest: Digest; path: string }> {
  const root = join(directory, 'entrepot/blobs/sha256');
  for (const shelf of namesIn(root)) {
    for (const name of namesIn(join(root, shelf))) {
      const digest = parseDigest(`sha256:${name}`);
      if (digest !== undefined) yield { digest, path: join(root, shelf, name) };
    }
  }
}

function partFiles(directory: string): { id: string; size: number; modified: number }[] {
  const root = join(directory, 'entrepot/parts');
  return namesIn(root).flatMap((id) => {
    // Beside a server that runs, one may just have gone.
    const found = statSync(join(root, id), { throwIfNoEntry: false });
    return found === undefined ? [] : [{ id, size: found.size, modified: found.mtimeMs }];
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
