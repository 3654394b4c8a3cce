import type { Proof } from '../admin/prove.ts';
import type { Config } from '../config/config.ts';
import { configJsonSchema } from '../config/json-schema.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { printConfig, printRoutes } from './print-config.ts';
import { readConfig } from './settings.ts';
import { printJson, printTable } from './table.ts';

export interface CheckFlags {
  /** Asks no upstream. */
  readonly offline?: boolean;
  /** Prints the JSON Schema of the configuration instead. */
  readonly schema?: boolean;
  readonly json?: boolean;
}

/** Prints the configuration as understood and proves its upstreams. 0, 1 (the file is wrong), 3 (an upstream failed). */
export async function check(context: CommandContext, argument: string | undefined, flags: CheckFlags): Promise<ExitCode> {
  if (flags.schema === true) {
    context.terminal.out(printJson(configJsonSchema(), 2));
    return 0;
  }
  const config = await readConfig(context, argument);
  const proofs = flags.offline === true ? undefined : await context.proveUpstreams(config, AbortSignal.timeout(PROOF_MS_MAX));
  context.terminal.out(flags.json === true ? asJson(config, proofs) : asText(config, proofs));
  const failed = (proofs ?? []).filter((proof) => !proof.ok);
  if (failed.length === 0) return 0;
  const names = failed.map(({ name }) => name).join(', ');
  context.terminal.err(`${failed.length} of ${proofs?.length} upstreams failed (${names}): what each said stands above\n`);
  return 3;
}

/** A chain of time limits (address, connection, token, answer) fits within this. */
const PROOF_MS_MAX = 60_000;

function asJson(config: Config, proofs: readonly Proof[] | undefined): string {
  const routes = config.routes.map((route) => ({ ...route, policy: { ...route.policy, stale: written(route.policy.stale) } }));
  return printJson({ config: config.shown, routes, warnings: config.warnings, upstreams: proofs }, 2);
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
