import { posix } from 'node:path';
import type { BackupCounts, BackupStep } from '../admin/backup.ts';
import { formatBytes } from '../admin/format.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { createProgress, type Progress } from './progress.ts';
import { readPlace } from './settings.ts';
import { printJson } from './table.ts';
import { withAdmin } from './with-admin.ts';

export interface BackupFlags extends LookFlags {
  readonly withCache?: boolean;
}

type BackedUp = Extract<BackupStep, { kind: 'backed-up' }>;

/** Exit 1 where hosted content was lost before it could be backed up; it is named, and all else is in the backup. */
export async function backup(context: CommandContext, to: string, flags: BackupFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const directory = posix.resolve(context.directory, to);
  const progress = createProgress(context, flags.json === true);
  let ended: BackedUp | undefined;
  await withAdmin(context, place, async (admin) => {
    for await (const step of admin.backup({ directory, cached: flags.withCache === true })) {
      if (step.kind === 'backed-up') ended = step;
      if (flags.json === true) context.terminal.out(printJson(step));
      else show(step, directory, progress);
    }
  }).finally(() => progress.end());
  if (ended === undefined)
    throw new CommandFault('the backup was broken off, and an earlier one there still stands: run it again; the log says why');
  if (ended.lost === 0) return 0;
  throw new CommandFault(`${ended.lost} of what is hosted could not be backed up: it is named above; push it again`);
}

function show(step: BackupStep, directory: string, progress: Progress): void {
  switch (step.kind) {
    case 'progress':
      return progress.at(step.done, step.lines, printCounts(step));
    case 'lost':
      return progress.line(`lost: ${step.repository} ${step.digest}: ${step.why}`);
    case 'backed-up':
      return progress.line(printEnd(step, directory));
  }
}

function printCounts({ linked, copied, bytes, known }: BackupCounts): string {
  return `${formatBytes(bytes)} in ${linked} files linked, ${copied} copied; ${known} there before`;
}

function printEnd(step: BackedUp, directory: string): string {
  const evicted = step.evicted === 0 ? '' : `; ${step.evicted} cached blobs were evicted meanwhile, and are fetched again`;
  const what = step.cached ? 'all metadata, hosted and cached content' : 'all metadata and hosted content';
  return `backed up to ${directory}: ${what}; ${step.lines} entries of metadata; ${printCounts(step)}${evicted}`;
}
