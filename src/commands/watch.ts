import type { Clock, Timer } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';

export interface WatchOptions {
  readonly clock: Clock;
  readonly disk: Disk;
  /** Asked at every look: a reload may name others. */
  readonly paths: () => readonly string[];
  readonly onChange: () => void;
}

/** How often is looked. Events of the file system miss what a ConfigMap does: it swaps a link above the file (S52). */
export const LOOK_MS = 2000;

/** Calls back once for each time that a file's size or time has changed, and stays the same from one look to the next. */
export function watchFiles(options: WatchOptions): { stop(): void } {
  let timer: Timer | undefined;
  let stopped = false;
  let told: string | undefined;
  let seen: string | undefined;
  const look = async (): Promise<void> => {
    const now = await fingerprint(options);
    told ??= now;
    // Half a file is not taken for a change: only what two looks found alike.
    if (now === seen && now !== told) {
      told = now;
      if (!stopped) options.onChange();
    }
    seen = now;
    if (!stopped) timer = options.clock.after(LOOK_MS, () => void look());
  };
  void look();
  return {
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

async function fingerprint({ disk, paths }: WatchOptions): Promise<string> {
  const parts = paths().map(async (path) => {
    try {
      const found = await disk.stat(path);
      return `${path} ${found?.size ?? '-'} ${found?.modified ?? '-'}`;
    } catch {
      // A file that cannot be looked at now is as if it were gone; reading it says why.
      return `${path} ?`;
    }
  });
  return (await Promise.all(parts)).join('\n');
}
