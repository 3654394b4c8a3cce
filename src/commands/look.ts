import { AdminError } from '../admin/admin-error.ts';
import { formatBytes } from '../admin/format.ts';
import type { RecentClient } from '../admin/recent.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { printExplanation } from './explain.ts';
import { readPlace } from './settings.ts';
import { printStatus } from './status.ts';
import { printJson, printTable } from './table.ts';
import { runningServer, withAdmin } from './with-admin.ts';

export interface LookFlags {
  readonly config?: string;
  readonly json?: boolean;
}

export async function status(context: CommandContext, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const found = await (await runningServer(context, place)).status();
  context.terminal.out(flags.json === true ? printJson(found, 2) : printStatus(found));
  return 0;
}

export async function explain(
  context: CommandContext,
  image: string,
  flags: LookFlags & { readonly as?: string },
): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const found = await withAdmin(context, place, (admin) => admin.explain(image, AbortSignal.timeout(60_000), flags.as));
  context.terminal.out(flags.json === true ? printJson(found, 2) : printExplanation(found));
  return 0;
}

/** With `--json` one object a line, so that a long list costs no memory on either side. */
export async function ls(context: CommandContext, pattern: string | undefined, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  let count = 0;
  await withAdmin(context, place, async (admin) => {
    for await (const one of admin.ls(pattern)) {
      count += 1;
      const when = one.owner === undefined ? `checked ${one.checked}` : `hosted since ${one.checked}`;
      const pinned = one.pinned.length === 0 ? '' : `  pinned by ${one.pinned.join(', ')}`;
      const line = `${one.repository}:${one.tag}  ${one.digest}  ${formatBytes(one.bytes)}  ${when}  used ${one.lastUse ?? 'never'}${pinned}\n`;
      context.terminal.out(flags.json === true ? printJson(one) : line);
    }
  });
  // On stderr: what reads stdout reads an empty list.
  if (count === 0) context.terminal.err('nothing is held yet\n');
  return 0;
}

export async function refresh(context: CommandContext, image: string, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const found = await withAdmin(context, place, (admin) => admin.refresh(image));
  if (found.outcome === 'failed')
    throw new AdminError(`${found.image} was not refreshed: ${found.message ?? 'no upstream answered'}`);
  const from = found.before === undefined || found.before === found.digest ? '' : ` (was ${found.before})`;
  context.terminal.out(
    flags.json === true ? printJson(found, 2) : `${found.image} ${found.outcome} ${found.digest ?? ''}${from}\n`,
  );
  return 0;
}

export async function release(context: CommandContext, image: string, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const found = await withAdmin(context, place, (admin) => admin.release(image));
  const cooled =
    found.digest === undefined
      ? ''
      : `${found.image} is released from its cooldown: it is answered with ${found.digest} from now on\n`;
  const said =
    found.forgotten === 0 ? '' : `${found.image}: ${found.forgotten} verdicts are forgotten, and judges are asked anew\n`;
  context.terminal.out(flags.json === true ? printJson(found, 2) : `${cooled}${said}`);
  return 0;
}

export async function disown(context: CommandContext, repository: string, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const found = await withAdmin(context, place, (admin) => admin.disown(repository));
  const line = `${found.repository} is given back to its chain: ${found.chain.join(', ')}\n`;
  context.terminal.out(flags.json === true ? printJson(found, 2) : line);
  return 0;
}

/** Until it is stopped. */
export async function tail(context: CommandContext, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const stop = new AbortController();
  const unlisten = (['SIGINT', 'SIGTERM'] as const).map((name) => context.signals.on(name, () => stop.abort()));
  const admin = await runningServer(context, place);
  for await (const line of admin.tail(stop.signal)) context.terminal.out(`${line}\n`);
  for (const one of unlisten) one();
  return 0;
}

export async function clients(context: CommandContext, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const found = await (await runningServer(context, place)).clients();
  context.terminal.out(flags.json === true ? printJson(found, 2) : printClients(found));
  return 0;
}

function printClients(found: readonly RecentClient[]): string {
  if (found.length === 0) return 'nobody asked for anything within the last hour\n';
  const rows = found.map(({ kind, address, requests, bytes, last, userAgent }) => [
    kind,
    address,
    String(requests),
    formatBytes(bytes),
    new Date(last).toISOString(),
    // What a client says of itself may hold escape sequences (reliability.md, S47).
    userAgent.replaceAll(/[^\x20-\x7e]/g, '?'),
  ]);
  return printTable([['KIND', 'ADDRESS', 'REQUESTS', 'BYTES', 'LAST', 'USER-AGENT'], ...rows]);
}
