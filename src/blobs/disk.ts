import type { Digest } from '../oci/digest.ts';
import type { Disk, OpenFile } from '../system/disk.ts';
import type { BlobStore, Part, PartId } from './blob-store.ts';
import { createDiskPart } from './disk-part.ts';
import { createFanOut } from './fan-out.ts';
import { createHeldFiles } from './held-files.ts';
import { openLayout, type Layout, type LayoutOptions } from './layout.ts';
import { listQuarantine, moveAway, removeFromQuarantine } from './quarantine.ts';
import { lookAt, nextShelf } from './shelves.ts';
import { openSteadily } from './steady-file.ts';

/**
 * Blobs as files. Layout 1:
 *
 *     <root>/entrepot/layout.json             {"layout":1,"writtenBy":"entrepot 0.1.0"}; durable before the first blob
 *     <root>/entrepot/blobs/sha256/4e/4e07…   one file per blob, named by its whole hex, whole and verified
 *     <root>/entrepot/blobs/sha512/cf/cf83…
 *     <root>/entrepot/blobs/probe-<id>        for the moment of a probe
 *     <root>/entrepot/parts/<32 hex>          on its way: fills, and the probe's file before its rename
 *     <root>/entrepot/quarantine/sha256-4e07…-<ms>   damaged, since then; made when needed, read by nobody but its owner
 *
 * The two hex digits make 256 directories per algorithm, made when needed and never removed: they are bounded, and ten
 * million blobs put forty thousand names in each, which ext4, XFS and btrfs look up as fast as one. Parts are below the same
 * root, so that publishing is a rename. What else is in the root, such as an official registry's `docker/registry/v2`, is
 * not touched.
 *
 * @throws DataDirectoryError as `openLayout`.
 */
export async function openDiskBlobStore(options: LayoutOptions): Promise<BlobStore> {
  return createDiskBlobStore(options.disk, await openLayout(options));
}

function createDiskBlobStore(disk: Disk, layout: Layout): BlobStore {
  const closing = new Set<Promise<void>>();
  const openParts = new Set<PartId>();
  const fanOut = createFanOut(disk, layout);
  const held = createHeldFiles((digest) => openSteadily(disk, layout.blob(digest)), close);

  /** Nobody waits for it but `close` of the store; nothing that a close can report is of use, since bytes were synced before. */
  function close(file: OpenFile): void {
    const ending = file.close().catch(() => undefined);
    closing.add(ending);
    void ending.then(() => closing.delete(ending));
  }

  /** The part's name is ours from here on, until the part that is made of it ends. */
  async function claiming<T extends Part | undefined>(id: PartId, open: () => Promise<T>): Promise<T> {
    if (!isPartId(id)) throw new RangeError(`a part is named by 32 lower-case hexadecimal digits, not ${JSON.stringify(id)}`);
    if (openParts.has(id)) throw new Error(`part ${id} is open already`);
    openParts.add(id);
    try {
      const part = await open();
      if (part === undefined) openParts.delete(id);
      return part;
    } catch (error) {
      openParts.delete(id);
      throw error;
    }
  }

  async function openPart(id: PartId, resume: boolean): Promise<Part> {
    const path = layout.part(id);
    if (!resume) await disk.unlink(path);
    const file = (resume ? await disk.open(path, 'update') : undefined) ?? (await disk.open(path, 'create'));
    if (file === undefined) throw new Error(`${path} was not created`);
    return toPart(id, file);
  }

  /** Named among our own before it is looked at: what is verified then is what is published, whatever becomes of `from`. */
  async function openLinkedPart(id: PartId, from: string): Promise<Part | undefined> {
    const path = layout.part(id);
    await disk.unlink(path);
    if (!(await disk.isFile(from)) || !(await disk.link(from, path))) return undefined;
    const file = (await disk.isFile(path)) ? await disk.open(path, 'read') : undefined;
    if (file === undefined) {
      await disk.unlink(path);
      return undefined;
    }
    const part = await toPart(id, file);
    return {
      ...part,
      async publish(digest) {
        await part.publish(digest);
        // A rename onto another name of the same file leaves both (rename(2)).
        await disk.unlink(path);
      },
    };
  }

  async function toPart(id: PartId, file: OpenFile): Promise<Part> {
    let named = true;
    const left = (): void => {
      if (named) openParts.delete(id);
      named = false;
    };
    try {
      const resumedSize = await file.size();
      return createDiskPart({
        disk,
        layout,
        fanOut,
        id,
        file,
        resumedSize,
        changed: held.forget,
        left,
        released: () => close(file),
      });
    } catch (error) {
      close(file);
      throw error;
    }
  }

  return {
    open: held.open,
    part: async (id, resume) => claiming(id, () => openPart(id, resume)),
    linkedPart: (id, path) => claiming(id, () => openLinkedPart(id, path)),
    parts: () => listParts(disk, layout),
    async removePart(id) {
      return isPartId(id) && !openParts.has(id) && disk.unlink(layout.part(id));
    },
    async remove(digest) {
      const removed = await disk.unlink(layout.blob(digest));
      held.forget(digest);
      // Synced although it was absent, where an earlier removal may have failed to: durable is what resolving means.
      if (removed || (await exists(disk, layout, digest))) await disk.syncDirectory(layout.fan(digest));
      return removed;
    },
    shelf: (after) => nextShelf(disk, layout, after),
    look: (digest) => lookAt(disk, layout.blob(digest)),
    async quarantine(digest, version, at) {
      try {
        return await moveAway(disk, layout, digest, version, at);
      } finally {
        held.forget(digest);
      }
    },
    quarantined: () => listQuarantine(disk, layout),
    removeQuarantined: (name) => removeFromQuarantine(disk, layout, name),
    space: () => disk.space(layout.home),
    async close() {
      await Promise.all(closing);
    },
  };
}

function isPartId(name: string): boolean {
  return /^[0-9a-f]{32}$/.test(name);
}

async function listParts(disk: Disk, layout: Layout): Promise<{ id: PartId; size: number; modified: number }[]> {
  const found: { id: PartId; size: number; modified: number }[] = [];
  for (const name of await disk.list(layout.parts)) {
    const stat = isPartId(name) ? await disk.stat(layout.part(name)) : undefined;
    if (stat !== undefined && !stat.directory) found.push({ id: name, size: stat.size, modified: stat.modified });
  }
  return found;
}

async function exists(disk: Disk, layout: Layout, digest: Digest): Promise<boolean> {
  return (await disk.stat(layout.fan(digest))) !== undefined;
}
