import { join, posix } from 'node:path';
import { AdminError } from '../admin/admin-error.ts';
import type { Backup } from '../admin/backup.ts';
import { backUp } from '../backup/backup.ts';
import { backupLayout } from '../backup/layout.ts';
import { readMarker } from '../backup/marker.ts';
import { NoRoom } from '../blobs/blob-store.ts';
import { DataDirectoryError } from '../blobs/data-directory-error.ts';
import { openDiskBlobStore } from '../blobs/disk.ts';
import { layoutBelow } from '../blobs/layout.ts';
import { createTake } from '../blobs/take.ts';
import { DUMP_LAYOUT, dumpedLink } from '../metadata/dump.ts';
import { isOfficialDirectory } from '../official/directory.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { Random } from '../system/random.ts';
import type { Chains } from './chains.ts';
import type { Collecting } from './collecting.ts';
import { officialNames } from './official.ts';
import type { Storage } from './storage.ts';

export interface BackingUpDeps {
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  readonly storage: Storage;
  readonly chains: () => Chains;
  readonly keepOut: Collecting['keepOut'];
  readonly version: string;
}

/** Backups, wired. Nothing is collected meanwhile: what the metadata name is to be there when its turn comes. */
export function createBackup({ system, storage, chains, keepOut, version }: BackingUpDeps): Backup {
  const { clock, disk, random } = system;
  const { records, dump } = storage;
  return async function* backup({ directory, cached }) {
    const { config } = chains();
    const root = config.storage.rootdirectory;
    mustBeElsewhere(root, directory);
    if (
      officialNames(config) !== undefined &&
      (await isOfficialDirectory(disk, root)) &&
      (await records.official.imported()) === undefined
    )
      throw new AdminError(
        `the official registry's data in ${root} are not all taken over yet, and would not be in the backup: run "entrepot import --from-registry ${root}" first`,
      );
    const layout = backupLayout(directory);
    const marker = await readMarker(disk, layout, DUMP_LAYOUT);
    if (marker !== 'none' && 'fault' in marker)
      throw new AdminError(`${directory} holds a backup that cannot be gone on with: ${marker.fault}`);
    const turn = await keepOut();
    try {
      const target = await openDiskBlobStore({ disk, random, root: directory, version });
      try {
        // Of a backup that was killed: nobody else writes here, since only one process has the turn.
        for (const { id } of await target.parts()) await target.removePart(id);
        yield* backUp(
          {
            clock,
            disk,
            random,
            layout,
            lines: (withCached) => dump.lines(withCached),
            linesLayout: DUMP_LAYOUT,
            linkOf: dumpedLink,
            pathOf: layoutBelow(root).blob,
            take: createTake({ disk, blobs: target, random }),
            check: () => turn.check(),
            writtenBy: `entrepot ${version}`,
          },
          cached,
        );
      } finally {
        await target.close();
      }
    } catch (error) {
      throw asRefusal(error, `the backup was broken off`);
    } finally {
      await turn.end().catch(() => undefined); // It runs out by itself.
    }
  };
}

/** Below what it copies it would be copied itself, or lie in a store's way. */
function mustBeElsewhere(root: string, directory: string): void {
  const own = [join(root, 'entrepot'), join(root, 'docker')];
  const isBelow = own.some((place) => directory === place || directory.startsWith(`${place}${posix.sep}`));
  if (directory === root || isBelow) throw new AdminError(`${directory} is what is backed up: name another directory`);
}

/** What a disk says is for whoever asked, and needs no look into a log. */
export function asRefusal(error: unknown, what: string): unknown {
  const isKnown = error instanceof DataDirectoryError || error instanceof NoRoom;
  const isOfDisk = error instanceof Error && 'code' in error && 'syscall' in error;
  return isKnown || isOfDisk ? new AdminError(`${what}: ${(error as Error).message}`) : error;
}
