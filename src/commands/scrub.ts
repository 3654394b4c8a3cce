import { formatBytes } from '../admin/format.ts';
import type { ScrubStep } from '../admin/scrub.ts';
import type { ScrubEvent } from '../observe/events.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { readPlace } from './settings.ts';
import { printJson } from './table.ts';
import { withAdmin } from './with-admin.ts';

export interface ScrubFlags extends LookFlags {
  readonly repair?: boolean;
}

type Damaged = Extract<ScrubStep, { kind: 'damaged' }>;

/**
 * One line for each thing that is found, how far it is on stderr, then the whole; with `--json` one object a line. 1 where
 * something damaged was found that is not held right again.
 */
export async function scrub(context: CommandContext, flags: ScrubFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const repair = flags.repair === true;
  const { out, err } = context.terminal;
  let whole: ScrubEvent | undefined;
  let tenths = 0;
  await withAdmin(context, place, async (admin) => {
    for await (const step of admin.scrub({ repair })) {
      if (step.kind === 'scrubbed') whole = step;
      if (flags.json === true) out(printJson(step));
      else if (step.kind !== 'progress') out(`${printStep(step, repair)}\n`);
      else if (Math.floor(step.share * 10) > tenths) {
        tenths = Math.floor(step.share * 10);
        err(`${tenths * 10} %: ${formatBytes(step.bytes)} in ${step.blobs} files read\n`);
      }
    }
  });
  if (whole === undefined) throw new CommandFault('the scrub was broken off: see the log of the server, and begin again');
  return whole.damaged > whole.repaired ? 1 : 0;
}

function printStep(step: Exclude<ScrubStep, { kind: 'progress' }>, repair: boolean): string {
  switch (step.kind) {
    case 'damaged':
      return `${step.repaired ? 'repaired' : 'damaged'}: ${formatBytes(step.bytes)} of ${step.digest}${heldBy(step)}: ${step.why}${advice(step, repair)}`;
    case 'orphan':
      return `${repair ? 'gone' : 'left by a crash'}: ${formatBytes(step.bytes)} of ${step.digest}, which nothing leads to`;
    case 'scrubbed':
      return printTotals(step);
  }
}

function heldBy({ repositories }: Damaged): string {
  const [first, ...more] = repositories;
  if (first === undefined) return '';
  return ` in ${first}${more.length === 0 ? '' : ` and ${more.length} more`}`;
}

function advice({ repaired, hosted }: Damaged, repair: boolean): string {
  if (repaired) return '';
  if (hosted) return '; it was pushed here: push the same bytes again, or restore them';
  return repair ? '; no upstream has it now: the next pull asks again' : '; --repair fetches it again';
}

function printTotals({ blobs, bytes, damaged, repaired, orphans }: ScrubEvent): string {
  const left = orphans === 0 ? '' : `, ${orphans} left by a crash`;
  return `${formatBytes(bytes)} in ${blobs} files read; ${damaged} damaged, ${repaired} repaired${left}`;
}
