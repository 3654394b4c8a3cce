import { parseDigest, type Digest } from '../oci/digest.ts';
import { blobForm, linkForm } from './forms.ts';
import { INVENTORY_SLOT, LAYOUT_SLOT, SIGNING_SLOT } from './keys.ts';
import { LAYOUT, withLayout } from './layout.ts';
import type { Change, MetadataStore, StoredEntry } from './metadata-store.ts';
import { isHosted } from './hosted.ts';

/** The layout of what is dumped: a version reads its own and every older one. */
export const DUMP_LAYOUT = LAYOUT.layout;

/** A store's content as lines of text, which any store takes in again. */
export interface Dump {
  /**
   * What a restored store needs, an entry a line; not what is under way (leases, uploads, parts), nor, without `cached`, what
   * counts what is cached; nor the keys of our tokens, which are secrets and are made anew. See `MetadataStore.entries` for what is sure to be in it.
   */
  lines(cached: boolean): AsyncIterable<string>;
  /** True where nothing was ever kept. */
  isEmpty(): Promise<boolean>;
  /**
   * Takes the lines in, into an empty store. Of a digest that is not held only its places are kept: what was cached is fetched
   * again. Yields how many entries there are now. Throws where a line is none.
   */
  load(lines: AsyncIterable<string>, isHeld: (digest: Digest) => Promise<boolean>): Promise<number>;
}

/** What a repository holds, by a line of a dump. */
export interface DumpedLink {
  readonly repository: string;
  readonly digest: Digest;
  readonly size: number;
  readonly hosted: boolean;
}

export function createDump(store: MetadataStore): Dump {
  return {
    async *lines(cached) {
      for await (const entry of store.entries()) if (isKept(entry, cached)) yield formatLine(entry);
    },
    async isEmpty() {
      for await (const { slot } of store.entries()) if (slot !== LAYOUT_SLOT) return false;
      return true;
    },
    load: (lines, isHeld) => load(withLayout(store), lines, isHeld),
  };
}

/** `undefined`: the line is of something else. */
export function dumpedLink(line: string): DumpedLink | undefined {
  // Most lines are of something else.
  if (!line.includes('"links"')) return undefined;
  const { slot, collection, id, value } = parseLine(line);
  const digest = parseDigest(id);
  if (collection !== 'links' || !slot.startsWith('repository/') || digest === undefined) return undefined;
  const link = linkForm.decode(value);
  return link && { repository: slot.slice('repository/'.length), digest, size: link.size, hosted: isHosted(link) };
}

/** What is under way in the process that wrote it, and ends with it. */
const UNDER_WAY: ReadonlySet<string> = new Set(['lease', 'part', 'upload', 'uploads']);

function isKept({ slot, collection }: Pick<StoredEntry, 'slot' | 'collection'>, cached: boolean): boolean {
  if (slot === LAYOUT_SLOT || slot === SIGNING_SLOT || UNDER_WAY.has(collection)) return false;
  return cached || slot !== INVENTORY_SLOT;
}

/** Values are JSON but for what a newer version may write. */
function formatLine({ slot, collection, id, value }: StoredEntry): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = bytes.toString();
  const written = Buffer.compare(Buffer.from(text), bytes) === 0 ? { text } : { base64: bytes.toString('base64') };
  return JSON.stringify({ slot, collection, id, ...written });
}

function parseLine(line: string): StoredEntry {
  const { slot, collection, id, text, base64 } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const value =
    typeof text === 'string' ? Buffer.from(text) : typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined;
  if (typeof slot !== 'string' || typeof collection !== 'string' || typeof id !== 'string' || value === undefined)
    throw new Error('a line of the metadata is no entry');
  return { slot, collection, id, value };
}

/** Entries that are committed at once. */
const BATCH = 200;

async function load(
  store: MetadataStore,
  lines: AsyncIterable<string>,
  isHeld: (digest: Digest) => Promise<boolean>,
): Promise<number> {
  let [slot, batch, count]: [string, Change[], number] = ['', [], 0];
  const write = async (): Promise<void> => {
    if (batch.length > 0) await store.commit(slot, batch);
    count += batch.length;
    batch = [];
  };
  for await (const line of lines) {
    const entry = parseLine(line);
    if (!(await isLoaded(entry, isHeld))) continue;
    if (entry.slot !== slot || batch.length === BATCH) await write();
    slot = entry.slot;
    batch.push({ key: [entry.collection, entry.id], value: entry.value });
  }
  await write();
  await store.flushed();
  return count;
}

/** A digest's own record says that its bytes are there; one that was being removed was about to go. */
async function isLoaded(
  { slot, collection, value }: StoredEntry,
  isHeld: (digest: Digest) => Promise<boolean>,
): Promise<boolean> {
  // What no backup of ours holds somebody else has put there: a key of his own to sign our tokens with, above all.
  if (!isKept({ slot, collection }, true)) return false;
  const digest = slot.startsWith('digest/') ? parseDigest(slot.slice('digest/'.length)) : undefined;
  if (digest === undefined || collection !== 'blob') return true;
  return blobForm.decode(value)?.state === 'held' && (await isHeld(digest));
}
