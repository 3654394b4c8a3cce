import type { EvictStep } from '../admin/evict.ts';
import { formatBytes } from '../admin/format.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { readPlace } from './settings.ts';
import { printJson } from './table.ts';
import { withAdmin } from './with-admin.ts';

export interface EvictFlags extends LookFlags {
  readonly dryRun?: boolean;
}

/** One line for each image and each blob, then the whole; with `--json` one object a line. */
export async function evict(context: CommandContext, pattern: string | undefined, flags: EvictFlags): Promise<ExitCode> {
  const dryRun = flags.dryRun === true;
  if (pattern === undefined && !dryRun)
    throw new CommandFault('say what is to go, such as "docker.io/library/*", or what would go next with --dry-run', 2);
  const place = await readPlace(context, flags.config);
  let ended = false;
  await withAdmin(context, place, async (admin) => {
    for await (const step of admin.evict({ pattern, dryRun })) {
      ended ||= step.kind === 'done';
      context.terminal.out(flags.json === true ? printJson(step) : `${printStep(step, dryRun)}\n`);
    }
  });
  if (!ended) throw new CommandFault('the eviction was broken off: see the log of the server, and begin again');
  return 0;
}

function printStep(step: EvictStep, dryRun: boolean): string {
  if (step.kind === 'round') return printRound(step);
  if (step.kind === 'done') {
    const images = step.images + step.kept === 0 ? '' : ` of ${step.images} images, ${step.kept} stay`;
    return `${dryRun ? 'would free' : 'freed'} ${formatBytes(step.bytes)} in ${step.blobs} files${images}`;
  }
  const fate = !step.goes ? 'stays' : dryRun ? 'would go' : 'gone';
  const why = step.why === undefined ? '' : `: ${step.why}`;
  return `${fate}: ${step.kind === 'image' ? printImage(step) : `${formatBytes(step.bytes)} of ${step.digest}`}${why}`;
}

function printImage({ repository, tag, digest }: Extract<EvictStep, { kind: 'image' }>): string {
  if (tag !== undefined) return `${repository}:${tag}`;
  return digest === undefined ? `what no tag of ${repository} leads to` : `${repository}@${digest}`;
}

function printRound({ due, bytes, files }: Extract<EvictStep, { kind: 'round' }>): string {
  const much = files > 0 ? `${formatBytes(bytes)} and ${files} files` : formatBytes(bytes);
  return due ? `${much} have to go now` : `nothing has to go now; once the high watermark is passed ${much} will, these first`;
}

export async function pin(context: CommandContext, pattern: string, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const pinned = await withAdmin(context, place, (admin) => admin.pin(pattern));
  context.terminal.out(flags.json === true ? printJson(pinned, 2) : `${pinned.text} is pinned\n`);
  if (!pinned.held) context.terminal.err('note: nothing that is held matches it yet\n');
  return 0;
}

export async function unpin(context: CommandContext, pattern: string, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const { text, by } = await withAdmin(context, place, (admin) => admin.unpin(pattern));
  context.terminal.out(flags.json === true ? printJson({ text, by }, 2) : `${text} is not pinned any more\n`);
  return 0;
}
