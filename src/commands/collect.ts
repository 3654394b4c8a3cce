import type { CollectStep } from '../admin/collect.ts';
import { formatBytes } from '../admin/format.ts';
import type { CollectEvent } from '../observe/events.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { readPlace } from './settings.ts';
import { printQuota } from './status.ts';
import { printJson } from './table.ts';
import { withAdmin } from './with-admin.ts';

export interface CollectFlags extends LookFlags {
  readonly dryRun?: boolean;
  readonly deleteUntagged?: boolean;
  /** Of `garbage-collect`: nothing but faults. */
  readonly quiet?: boolean;
}

/** One line for each thing that goes, then the whole; with `--json` one object a line. */
export async function collect(context: CommandContext, flags: CollectFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const request = { dryRun: flags.dryRun === true, deleteUntagged: flags.deleteUntagged === true };
  const { out } = context.terminal;
  let ended = false;
  await withAdmin(context, place, async (admin) => {
    for await (const step of admin.collect(request)) {
      ended ||= step.kind === 'collected';
      if (flags.quiet !== true) out(flags.json === true ? printJson(step) : `${printStep(step, request.dryRun)}\n`);
    }
  });
  if (!ended) throw new CommandFault('the collection was broken off: see the log of the server, and begin again');
  return 0;
}

function printStep(step: CollectStep, dryRun: boolean): string {
  const goes = dryRun ? 'would go' : 'gone';
  switch (step.kind) {
    case 'tag':
      return `${goes}: tag ${step.repository}:${step.tag}, which ${step.why}`;
    case 'manifest':
      return `${goes}: manifest ${step.repository}@${step.digest}`;
    case 'link':
      return `${goes}: blob ${step.digest} from ${step.repository}`;
    case 'blob':
      return `${goes}: ${formatBytes(step.bytes)} of ${step.digest}`;
    case 'unreadable':
      return `kept: all of ${step.repository}, since what it has under ${step.digest} cannot be read: push it again, or delete it`;
    case 'quota':
      return `quota ${printQuota(step)}`;
    case 'collected':
      return printTotals(step);
  }
}

function printTotals({ dryRun, repositories, tags, manifests, links, blobs, bytes, uploads }: CollectEvent): string {
  const what = [
    `${formatBytes(bytes)} in ${blobs} files`,
    `${tags} tags`,
    `${manifests} manifests`,
    `${links} blobs of repositories`,
    `${uploads} uploads`,
  ].join(', ');
  return `${dryRun ? 'would free' : 'freed'} ${what}; ${repositories} repositories looked through`;
}
