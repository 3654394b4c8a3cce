import { join } from 'node:path';
import { algorithmOf, encodedOf, type Digest } from '../oci/digest.ts';
import { randomId, type Random } from '../system/random.ts';
import type { Disk } from '../system/disk.ts';
import { asDataDirectoryError, DataDirectoryError } from './data-directory-error.ts';
import { readSmallFile, writeSmallFile } from './small-file.ts';
import type { PartId } from './blob-store.ts';

/** The layout that this version writes, drawn in disk.ts. */
export const LAYOUT = 1;

/** Where things stand below one root directory. */
export interface Layout {
  /** `<root>/entrepot`: all that we ever touch. */
  readonly home: string;
  readonly blobs: string;
  readonly parts: string;
  blob(digest: Digest): string;
  /** The directory of `blob(digest)`. */
  fan(digest: Digest): string;
  part(id: PartId): string;
  /** Where damaged blobs are kept for a while. */
  readonly quarantine: string;
}

export function layoutBelow(root: string): Layout {
  const home = join(root, 'entrepot');
  const blobs = join(home, 'blobs');
  const parts = join(home, 'parts');
  const quarantine = join(home, 'quarantine');
  const fan = (digest: Digest): string => join(blobs, algorithmOf(digest), encodedOf(digest).slice(0, 2));
  const blob = (digest: Digest): string => join(fan(digest), encodedOf(digest));
  return { home, blobs, parts, quarantine, fan, blob, part: (id) => join(parts, id) };
}

export interface LayoutOptions {
  readonly disk: Disk;
  readonly random: Random;
  /** The data directory; made where it is missing. */
  readonly root: string;
  /** This program's version, written into a new layout file: a later reader's error names it. */
  readonly version: string;
}

/**
 * Makes sure that the directory has the layout that we read, and writes it, durably, where there is none yet. Nothing is
 * written where it is whole, so that a disk that became read-only still opens.
 *
 * @throws DataDirectoryError `layout` for a newer layout, an unreadable layout file, or blobs without one; `disk` when the
 * directory could not be read, or a new one not be made.
 */
export async function openLayout(options: LayoutOptions): Promise<Layout> {
  const { disk, root } = options;
  const layout = layoutBelow(root);
  const file = join(layout.home, 'layout.json');
  try {
    const text = await readSmallFile(disk, file);
    if (text !== undefined) checkLayout(text, file);
    else await writeLayout(options, layout, file);
    await makeMissing(disk, layout);
  } catch (error) {
    throw asDataDirectoryError(root, error);
  }
  return layout;
}

function checkLayout(text: string, file: string): void {
  const found = parseLayout(text);
  if (found === undefined) {
    const advice = `restore it from a backup, or move ${join(file, '..')} away to start with an empty cache`;
    throw new DataDirectoryError('layout', `${file} is not a layout file (a JSON object with "layout": ${LAYOUT}): ${advice}`);
  }
  if (found.layout > LAYOUT) {
    const reads = `layout ${found.layout}; this version reads layout ${LAYOUT}`;
    throw new DataDirectoryError(
      'layout',
      `${file} says ${reads}: start ${found.writtenBy}, which can read it, or use another directory`,
    );
  }
}

function parseLayout(text: string): { readonly layout: number; readonly writtenBy: string } | undefined {
  try {
    const { layout, writtenBy } = JSON.parse(text) as Partial<Record<'layout' | 'writtenBy', unknown>>;
    if (!Number.isSafeInteger(layout) || (layout as number) < 1) return undefined;
    // It is shown to a person, and whoever can write the file could write anything.
    const isOurs = typeof writtenBy === 'string' && /^entrepot [\w.+-]{1,60}$/.test(writtenBy);
    return { layout: layout as number, writtenBy: isOurs ? `${writtenBy} or newer` : 'a newer entrepot' };
  } catch {
    // Not JSON, or JSON null: the caller names the file.
    return undefined;
  }
}

/**
 * The layout file is durable before the first blob can be, so that blobs without one are no first start. It is written as
 * a part, since parts are where leftovers are swept.
 */
async function writeLayout({ disk, random, root, version }: LayoutOptions, layout: Layout, file: string): Promise<void> {
  if ((await disk.list(layout.blobs)).some((name) => name === 'sha256' || name === 'sha512')) {
    throw new DataDirectoryError(
      'layout',
      `${file} is missing though ${layout.blobs} holds blobs: restore it, or move ${layout.home} away`,
    );
  }
  const made = await missingAbove(disk, root);
  await makeMissing(disk, layout);
  for (const directory of [root, ...made]) await disk.syncDirectory(directory);
  const fresh = layout.part(randomId(random));
  await writeSmallFile(disk, fresh, `${JSON.stringify({ layout: LAYOUT, writtenBy: `entrepot ${version}` })}\n`);
  await disk.rename(fresh, file);
  for (const directory of [layout.home, layout.parts]) await disk.syncDirectory(directory);
}

/** Also where a backup or a clean-up left the empty ones out. */
async function makeMissing(disk: Disk, layout: Layout): Promise<void> {
  for (const directory of [layout.blobs, layout.parts]) {
    if ((await disk.stat(directory)) !== undefined) continue;
    await disk.makeDirectory(directory);
    await disk.syncDirectory(layout.home);
  }
}

/** The directories that will hold a new entry once `path` is made. */
async function missingAbove(disk: Disk, path: string): Promise<string[]> {
  const parents: string[] = [];
  for (let at = path; (await disk.stat(at)) === undefined && join(at, '..') !== at; at = join(at, '..'))
    parents.push(join(at, '..'));
  return parents;
}
