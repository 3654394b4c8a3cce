import { posix } from 'node:path';
import { formatBytes } from '../admin/format.ts';
import type { RestoreStep } from '../backup/restore.ts';
import { ConfigError } from '../config/fault.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { createProgress, type Progress } from './progress.ts';
import { readPlace } from './settings.ts';
import { printJson } from './table.ts';

type Restored = Extract<RestoreStep, { kind: 'restored' }>;

/** Into the configuration's root directory, which is empty. Exit 1 where not all of it could be; what could is there then. */
export async function restore(context: CommandContext, from: string, flags: LookFlags): Promise<ExitCode> {
  const { rootdirectory, config } = await readPlace(context, flags.config);
  if (config instanceof ConfigError) throw config;
  if (!context.actAsOwner(rootdirectory))
    throw new CommandFault(`there is no ${rootdirectory} to restore into: make it, and give it to the user that serves`);
  const progress = createProgress(context, flags.json === true);
  let ended: Restored | undefined;
  try {
    const directory = posix.resolve(context.directory, from);
    for await (const step of context.restoreStore(config, directory, context.version)) {
      if (step.kind === 'restored') ended = step;
      if (flags.json === true) context.terminal.out(printJson(step));
      else show(step, rootdirectory, progress);
    }
  } finally {
    progress.end();
  }
  if (ended === undefined || ended.notRestored === 0) return 0;
  throw new CommandFault(
    `${ended.notRestored} of what was hosted is not whole in this backup: it is named above; push it again`,
  );
}

function show(step: RestoreStep, rootdirectory: string, progress: Progress): void {
  switch (step.kind) {
    case 'progress':
      return progress.at(step.done, step.lines, printFiles(step));
    case 'not-restored':
      return progress.line(`not whole: ${step.repository} ${step.what}: ${step.why}`);
    case 'restored':
      return progress.line(printEnd(step, rootdirectory));
  }
}

function printFiles({ linked, copied, bytes }: Pick<Restored, 'linked' | 'copied' | 'bytes'>): string {
  return `${formatBytes(bytes)} in ${linked} files linked, ${copied} copied, each verified`;
}

function printEnd(step: Restored, rootdirectory: string): string {
  const { at, repositories, tags, manifests, blobs } = step;
  const hosted = `${tags} tags, ${manifests} manifests, ${blobs} blobs in ${repositories} hosted repositories`;
  return `restored to ${rootdirectory} what stood at ${at}: ${hosted}; ${printFiles(step)}`;
}
