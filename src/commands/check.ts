import type { Proof } from '../admin/prove.ts';
import type { Config } from '../config/config.ts';
import { configJsonSchema } from '../config/json-schema.ts';
import { proveAuthFiles } from '../compose/signing-in.ts';
import { explainAccess } from '../compose/access.ts';
import { systemRandom } from '../system/random.ts';
import { RegistryError } from '../oci/errors.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { CommandFault } from './fault.ts';
import type { LookFlags } from './look.ts';
import { printConfig, printRoutes } from './print-config.ts';
import { readConfig } from './settings.ts';
import { printJson, printTable } from './table.ts';

export interface CheckFlags {
  /** Asks no upstream. */
  readonly offline?: boolean;
  /** Prints the JSON Schema of the configuration instead. */
  readonly schema?: boolean;
  readonly json?: boolean;
  /** Explains whether this subject may, instead. */
  readonly as?: string;
}

/**
 * Prints the configuration as understood and proves its upstreams. 0, 1 (the file is wrong), 3 (an upstream failed). `words`: the
 * configuration, and with `--as` an action and a name behind it.
 */
export async function check(
  context: CommandContext,
  words: readonly string[],
  flags: CheckFlags & LookFlags,
): Promise<ExitCode> {
  if (flags.as !== undefined) return await checkAccess(context, words, { ...flags, as: flags.as });
  if (words.length > 1) throw new CommandFault('expected one configuration, or --as SUBJECT ACTION NAME', 2);
  const argument = words[0] ?? flags.config;
  if (flags.schema === true) {
    context.terminal.out(printJson(configJsonSchema(), 2));
    return 0;
  }
  const config = await readConfig(context, argument);
  await proveAuthFiles(config, { clock: context.clock, disk: context.disk, random: systemRandom });
  const proofs = flags.offline === true ? undefined : await context.proveUpstreams(config, AbortSignal.timeout(PROOF_MS_MAX));
  context.terminal.out(flags.json === true ? asJson(config, proofs) : asText(config, proofs));
  const failed = (proofs ?? []).filter((proof) => !proof.ok);
  if (failed.length === 0) return 0;
  const names = failed.map(({ name }) => name).join(', ');
  context.terminal.err(`${failed.length} of ${proofs?.length} upstreams failed (${names}): what each said stands above\n`);
  return 3;
}

/** `check --as user:ann pull registry.acme.test/app`: one decision, and the line of the file that decides. */
async function checkAccess(
  context: CommandContext,
  words: readonly string[],
  flags: LookFlags & { readonly as: string },
): Promise<ExitCode> {
  const [name, action, file, more] = words.toReversed();
  if (name === undefined || action === undefined || more !== undefined)
    throw new CommandFault('expected --as SUBJECT ACTION NAME, such as --as user:ann pull registry.acme.test/app', 2);
  const config = await readConfig(context, file ?? flags.config);
  try {
    const answer = explainAccess(config, flags.as, action, name);
    context.terminal.out(flags.json === true ? printJson(answer, 2) : `${answer.why}\n`);
    return 0;
  } catch (error) {
    if (error instanceof RangeError) throw new CommandFault(error.message, 2);
    if (error instanceof RegistryError) throw new CommandFault(error.message, 1);
    throw error;
  }
}

/** A chain of time limits (address, connection, token, answer) fits within this. */
const PROOF_MS_MAX = 60_000;

function asJson(config: Config, proofs: readonly Proof[] | undefined): string {
  const routes = config.routes.map((route) => ({ ...route, policy: { ...route.policy, stale: written(route.policy.stale) } }));
  return printJson({ config: config.shown(), routes, warnings: config.warnings, upstreams: proofs }, 2);
}

/** JSON has no infinity. */
function written(ms: number): number | 'forever' {
  return Number.isFinite(ms) ? ms : 'forever';
}

function asText(config: Config, proofs: readonly Proof[] | undefined): string {
  const source = `# ${config.file ?? 'no file: environment and defaults'}\n`;
  const warnings = config.warnings.map((warning) => `warning: ${warning}\n`).join('');
  const parts = [
    `${source}${printConfig(config)}`,
    warnings,
    printRoutes(config.routes),
    proofs === undefined || proofs.length === 0 ? '' : printProofs(proofs),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function printProofs(proofs: readonly Proof[]): string {
  const rows = proofs.map((proof) => [
    proof.name,
    proof.url,
    proof.via,
    proof.signedIn === undefined ? '-' : proof.signedIn ? 'signed in' : 'refused',
    proof.rateLimit === undefined ? '-' : `${proof.rateLimit.remaining} of ${proof.rateLimit.limit}`,
    `${proof.ok ? 'ok' : 'FAILED'}: ${proof.message} (${proof.ms} ms)`,
  ]);
  return printTable([['UPSTREAM', 'ADDRESS', 'VIA', 'SIGN-IN', 'RATE LIMIT LEFT', 'ANSWER'], ...rows]);
}
