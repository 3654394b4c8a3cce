import { accessSync, constants } from 'node:fs';
import { run } from './program.ts';

/** The program of the specification's own suite (opencontainers/distribution-spec, `conformance`): whoever has it names it here. */
export const VARIABLE = 'ENTREPOT_CONFORMANCE';

/** Where that program is; `undefined`: it was not named. Throws when what was named cannot be run. */
export function conformanceProgram(): string | undefined {
  const program = process.env[VARIABLE];
  if (program === undefined || program === '') return undefined;
  accessSync(program, constants.X_OK);
  return program;
}

/** What each API and each set of data came to, as the suite words it: `Pass`, `FAIL`, `Skip`, `Disabled`, `Error`. */
export type Verdicts = Readonly<Record<string, string>>;

export interface Results {
  readonly apis: Verdicts;
  readonly data: Verdicts;
  /** How many cases passed. */
  readonly passed: number;
  /** Every case that failed, or that the suite could not judge, with what it said of it. */
  readonly failed: readonly string[];
}

/** What the suite is told; `settings`: its own environment variables. */
export interface ConformanceRun {
  readonly program: string;
  /** The server's `host:port`, over HTTP. */
  readonly authority: string;
  readonly version: '1.1' | 'dev';
  /** Takes its reports. */
  readonly directory: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** Runs the suite to its end; what it found is a result, and only a suite that found nothing out rejects. */
export async function runConformance({ program, authority, version, directory, settings }: ConformanceRun): Promise<Results> {
  const env = {
    OCI_REGISTRY: authority,
    OCI_TLS: 'disabled',
    OCI_VERSION: version,
    OCI_RESULTS_DIR: directory,
    ...settings,
  };
  // Its exit code is no verdict: where nothing may be pushed it fails at its own report, after it has judged everything.
  return readResults(await run(program, [], { env }).catch((error: unknown) => String(error)));
}

interface Case {
  readonly depth: number;
  readonly name: string;
  readonly verdict: string;
  readonly said: string[];
}

/** What the suite prints: its cases as a tree with what is wrong below each, then a verdict for each API and set of data. */
export function readResults(text: string): Results {
  const cases = readCases(text);
  const leaves = cases.filter(({ depth }, at) => (cases[at + 1]?.depth ?? 0) <= depth);
  const [apis, data] = ['API', 'Data'].map((of) => readVerdicts(text, of));
  if (leaves.length < 2 || apis === undefined || data === undefined) throw new Error(`the suite judged nothing: ${text}`);
  return {
    apis,
    data,
    passed: leaves.filter(({ verdict }) => verdict === 'Pass').length,
    failed: leaves
      .filter(({ verdict }) => !['Pass', 'Skip', 'Disabled'].includes(verdict))
      .map(({ name, verdict, said }) => [`${name}: ${verdict}`, ...said].join('\n').slice(0, 1000)),
  };
}

function readCases(text: string): readonly Case[] {
  const cases: Case[] = [];
  const tree = /^Test results$([\s\S]*?)^Configuration:$/m.exec(text)?.[1] ?? '';
  for (const line of tree.split('\n')) {
    const [, space, name, verdict] = /^( *)(OCI Conformance Test.*): (\w+)$/.exec(line) ?? [];
    if (name === undefined) cases.at(-1)?.said.push(line.trim());
    else cases.push({ depth: space!.length, name, verdict: verdict!, said: [] });
  }
  return cases;
}

function readVerdicts(text: string, of: string): Verdicts | undefined {
  const section = new RegExp(`^${of} conformance:\n((?:  .*\n)+)`, 'm').exec(text)?.[1];
  if (section === undefined) return undefined;
  return Object.fromEntries([...section.matchAll(/^ {2}(.*?)\.*: +(\w+)$/gm)].map(([, name, verdict]) => [name, verdict]));
}
