import type { BlobStore } from '../blobs/blob-store.ts';
import { allUploads, type ListedUpload, type Records } from '../metadata/records.ts';
import type { Clock, Timer } from '../system/clock.ts';
import type { ReportPush } from './events.ts';

export interface PurgeDeps {
  readonly clock: Clock;
  readonly blobs: BlobStore;
  readonly records: Pick<Records, 'uploads' | 'dropUpload'>;
  readonly report: ReportPush;
}

/** `storage.maintenance.uploadpurging`, as the official registry's file has it. Durations in ms. */
export interface PurgeOptions {
  readonly enabled: boolean;
  /** An upload that has not moved for so long is nobody's any more. */
  readonly age: number;
  readonly interval: number;
  /** Only tells what would go. */
  readonly dryRun: boolean;
}

/** The first pass waits a little, so that a fleet that starts together does not purge together with its first pulls. */
const FIRST_MS = 60_000;
/** No timer waits longer than a day. */
const TIMER_MS_MAX = 24 * 3600_000;

/** Drops uploads that nobody goes on with, at intervals (reliability.md, S41). `options` is asked at each pass. */
export function purgeUploads(deps: PurgeDeps, options: () => PurgeOptions): { start(): void; stop(): void } {
  let timer: Timer | undefined;
  let stopped = false;
  const wait = (ms: number): void => {
    if (!stopped) timer = deps.clock.after(Math.min(ms, TIMER_MS_MAX), () => void pass());
  };
  async function pass(): Promise<void> {
    const now = options();
    try {
      if (now.enabled) await purgeOnce(deps, now);
    } catch (error) {
      deps.report({ kind: 'push-failed', reason: 'metadata', error });
    }
    wait(now.interval);
  }
  return {
    start: () => wait(FIRST_MS),
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

/** One pass. The record goes first, and only if the upload has not moved since: its bytes are nobody's then. */
export async function purgeOnce(deps: PurgeDeps, { age, dryRun }: PurgeOptions): Promise<{ uploads: number; bytes: number }> {
  const { clock, records, report } = deps;
  const before = clock.now() - age;
  const total = { uploads: 0, bytes: 0 };
  for await (const upload of allUploads(records)) {
    if (upload.at > before || !(dryRun || (await drop(deps, upload)))) continue;
    total.uploads += 1;
    total.bytes += upload.record?.offset ?? 0;
  }
  if (total.uploads > 0) report({ kind: 'uploads-purged', ...total, dryRun });
  return total;
}

async function drop({ records, blobs }: PurgeDeps, { repository, id, record }: ListedUpload): Promise<boolean> {
  const dropped = await records.dropUpload(repository, id, record);
  if (dropped && record !== undefined) await blobs.removePart(record.part);
  return dropped;
}
