import { posix } from 'node:path';
import { formatBytes } from '../admin/format.ts';
import type { ImportCounts, ImportStep } from '../admin/import.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { createProgress, type Progress } from './progress.ts';
import { readPlace, type Place } from './settings.ts';
import { printJson } from './table.ts';
import { withAdmin } from './with-admin.ts';

export interface ImportFlags extends LookFlags {
  readonly fromRegistry?: string;
  readonly as?: string;
  readonly hosted?: boolean;
  readonly dryRun?: boolean;
}

type Imported = Extract<ImportStep, { kind: 'imported' }>;

/**
 * Takes over an official registry's data: a bar on a terminal, else a line now and then; what could not be taken, by name;
 * then the whole. Exit 1 where anything was left. With `--json` one object a line.
 */
export async function importFrom(context: CommandContext, flags: ImportFlags): Promise<ExitCode> {
  const { fromRegistry, as: registry, hosted = false, dryRun = false } = flags;
  if (fromRegistry === undefined)
    throw new CommandFault('import takes --from-registry DIRECTORY: bundles (an image layout in a tar) are not built yet', 2);
  const place = await readPlace(context, flags.config);
  await mustHaveRoot(context, place);
  const directory = posix.resolve(context.directory, fromRegistry);
  const progress = createProgress(context, flags.json === true);
  let ended: Imported | undefined;
  await withAdmin(context, place, async (admin) => {
    for await (const step of admin.import({ directory, registry, hosted, dryRun })) {
      if (step.kind === 'imported') ended = step;
      show(context, flags, step, progress);
    }
  }).finally(() => progress.end());
  if (ended === undefined)
    throw new CommandFault('the import was broken off: run it again, and it goes on; the log of the server says why');
  if (ended.notTaken === 0) return 0;
  throw new CommandFault(`${ended.notTaken} could not be taken${ended.finished ? '' : ' yet'}: they are named above`);
}

/** It may be the first thing that this configuration is used for. */
async function mustHaveRoot({ disk }: CommandContext, { rootdirectory }: Place): Promise<void> {
  if ((await disk.stat(rootdirectory))?.directory === true) return;
  throw new CommandFault(`there is no ${rootdirectory} to import into: make it, and give it to the user that serves`);
}

function show({ terminal }: CommandContext, flags: ImportFlags, step: ImportStep, progress: Progress): void {
  if (flags.json === true) return terminal.out(printJson(step));
  switch (step.kind) {
    case 'progress':
      return progress.at(step.done, step.all, `${printCounts(step)}, now ${step.repository}`);
    case 'not-taken':
      return progress.line(`not taken: ${printItem(step)}: ${step.why}`);
    case 'imported':
      return progress.line(printEnd(step));
  }
}

function printItem({ repository, what, reference }: Extract<ImportStep, { kind: 'not-taken' }>): string {
  if (what === 'repository') return `repository ${repository}`;
  return what === 'tag' ? `tag ${repository}:${reference}` : `${what} ${repository}@${reference}`;
}

function printCounts({ tags, manifests, blobs, linked, copied, bytes }: ImportCounts): string {
  return `${tags} tags, ${manifests} manifests, ${blobs} blobs; ${formatBytes(bytes)} in ${linked} files linked, ${copied} copied`;
}

function printEnd(step: Imported): string {
  const { dryRun, finished, repositories, known } = step;
  const counts = `${printCounts(step)}; ${repositories} repositories, ${known} taken before`;
  if (dryRun) return `would take ${counts}`;
  return finished
    ? `took ${counts}; all of it is here now, and that directory is needed no more`
    : `took ${counts}; not all could be read: mend that, and run it again`;
}
