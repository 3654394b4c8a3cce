import type { TokenView } from '../admin/tokens.ts';
import { ConfigError } from '../config/fault.ts';
import { guessDuration, parseDuration } from '../config/units.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { readPlace } from './settings.ts';
import { printJson, printTable } from './table.ts';
import { withAdmin } from './with-admin.ts';

export interface TokenFlags extends LookFlags {
  readonly expires?: string;
}

/** The token alone on stdout, so that it can be piped to where it is kept; what is said about it on stderr. */
export async function createToken(context: CommandContext, name: string, flags: TokenFlags): Promise<ExitCode> {
  const lifetimeMs = flags.expires === undefined ? undefined : lifetimeOf(flags.expires);
  const place = await readPlace(context, flags.config);
  const created = await withAdmin(context, place, (admin) => admin.createToken({ name, lifetimeMs }));
  context.terminal.out(flags.json === true ? printJson(created, 2) : `${created.token}\n`);
  const until = created.expires === undefined ? 'does not expire' : `expires ${created.expires}`;
  context.terminal.err(`the token ${created.name} ${until}; it is not shown again: use it as a password, with any user name\n`);
  if (!(place.config instanceof ConfigError) && place.config.auth === undefined)
    context.terminal.err('note: the configuration has no auth, so that nobody is asked for it\n');
  return 0;
}

function lifetimeOf(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  const guess = guessDuration(text);
  throw new CommandFault(
    `--expires is no duration such as 90d or 12h${guess === undefined ? '' : `: did you mean ${guess}?`}`,
    2,
  );
}

export async function listTokens(context: CommandContext, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const found = await withAdmin(context, place, (admin) => admin.tokens());
  if (flags.json === true) context.terminal.out(printJson(found, 2));
  else if (found.length > 0) context.terminal.out(printTokens(found));
  else context.terminal.err('there are no tokens: make one with "entrepot token create NAME"\n');
  return 0;
}

function printTokens(found: readonly TokenView[]): string {
  const rows = found.map(({ name, created, expires, lastUse, expired }) => [
    name,
    created,
    expired ? `${expires ?? ''} (expired)` : (expires ?? 'never'),
    lastUse ?? 'never',
  ]);
  return printTable([['NAME', 'CREATED', 'EXPIRES', 'LAST USE'], ...rows]);
}

export async function revokeToken(context: CommandContext, name: string, flags: LookFlags): Promise<ExitCode> {
  const place = await readPlace(context, flags.config);
  const revoked = await withAdmin(context, place, (admin) => admin.revokeToken(name));
  context.terminal.out(flags.json === true ? printJson(revoked, 2) : `${revoked.name} is revoked\n`);
  return 0;
}
