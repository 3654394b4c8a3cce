import { dirname } from 'node:path';
import type { Digest } from '../oci/digest.ts';
import type { Disk } from '../system/disk.ts';
import type { Layout } from './layout.ts';

/** Sees to it that a digest's directory exists and survives a crash. */
export interface FanOut {
  ensure(digest: Digest): Promise<void>;
  /** Somebody removed the directory under us. */
  forget(digest: Digest): void;
}

/**
 * A directory whose own entry was never synced takes all its blobs with it in a crash. One that exists may have been made by
 * a process that died before it synced, so each is synced once in a life of this process; 512 at most.
 */
export function createFanOut(disk: Disk, layout: Layout): FanOut {
  const ensured = new Map<string, Promise<void>>();

  async function make(fan: string): Promise<void> {
    await disk.makeDirectory(fan);
    await disk.syncDirectory(dirname(fan));
    await disk.syncDirectory(layout.blobs);
  }

  return {
    async ensure(digest) {
      const fan = layout.fan(digest);
      const making = ensured.get(fan) ?? make(fan);
      ensured.set(fan, making);
      try {
        await making;
      } catch (error) {
        if (ensured.get(fan) === making) ensured.delete(fan);
        throw error;
      }
    },
    forget: (digest) => void ensured.delete(layout.fan(digest)),
  };
}
