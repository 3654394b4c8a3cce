import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { mutate, type Mutant } from './mutant.ts';

/** A copy of the repository in which things may be broken. */
export interface Tree {
  readonly path: string;
  remove(): Promise<void>;
}

/** What tests have no use for, or find through the link. */
const LEFT_OUT: ReadonlySet<string> = new Set(['node_modules', 'dist', 'coverage', '.git']);

export async function copyTree(root: string): Promise<Tree> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-mutants-'));
  await cp(root, path, { recursive: true, filter: (source) => source === root || !LEFT_OUT.has(basename(source)) });
  await symlink(join(root, 'node_modules'), join(path, 'node_modules'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export type Verdict =
  | { readonly kind: 'passed'; readonly tests: number }
  /** The first test that failed, in full. */
  | { readonly kind: 'failed'; readonly by: string }
  | { readonly kind: 'hung' }
  /** No test ran: the edit does not even load, or nothing has that name. */
  | { readonly kind: 'broken'; readonly why: string };

/** What the tests of a mutant say, with its edit or (`mutant.file` untouched) without. */
export async function judge(tree: Tree, mutant: Mutant, edited: boolean): Promise<Verdict> {
  if (!edited) return runTests(tree, mutant);
  const path = join(tree.path, mutant.file);
  const before = await readFile(path, 'utf8');
  await writeFile(path, mutate(before, mutant));
  try {
    return await runTests(tree, mutant);
  } finally {
    await writeFile(path, before);
  }
}

/** Longer than any test that is not stuck. */
const RUN_MS_MAX = 180_000;

interface Report {
  readonly numTotalTests: number;
  readonly numPassedTests: number;
  readonly success: boolean;
  readonly testResults: readonly {
    readonly message?: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

async function runTests(tree: Tree, { test, testName }: Mutant): Promise<Verdict> {
  const output = join(tree.path, 'mutant-report.json');
  await rm(output, { force: true });
  const names = testName === undefined ? [] : ['-t', testName];
  const vitest = join(tree.path, 'node_modules/vitest/vitest.mjs');
  const end = await run(tree, [vitest, 'run', ...test, ...names, '--bail=1', '--reporter=json', `--outputFile=${output}`]);
  if (end.hung) return { kind: 'hung' };
  const report = await readFile(output, 'utf8').then(
    (text) => JSON.parse(text) as Report,
    () => undefined,
  );
  if (report === undefined) return { kind: 'broken', why: end.said.slice(-2000) };
  const failed = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .find(({ status }) => status === 'failed');
  if (failed !== undefined) return { kind: 'failed', by: failed.fullName };
  const message = report.testResults.map((result) => result.message ?? '').find((text) => text !== '') ?? end.said.slice(-2000);
  if (report.numPassedTests === 0) return { kind: 'broken', why: message };
  // Hooks fail a file in which every test has passed: that is where leaks and lost rejections show.
  return end.code === 0 && report.success ? { kind: 'passed', tests: report.numPassedTests } : { kind: 'failed', by: message };
}

interface End {
  readonly code: number | null;
  readonly hung: boolean;
  readonly said: string;
}

function run(tree: Tree, args: readonly string[]): Promise<End> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'leash.mjs'), ...args], {
      cwd: tree.path,
      env: environment(),
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const said: string[] = [];
    let hung = false;
    const limit = setTimeout(() => {
      hung = true;
      // With all the processes that it started.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, RUN_MS_MAX);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => said.push(text));
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, hung, said: said.join('') });
    });
  });
}

/** Ours, without what tells a test runner that it runs inside another. */
function environment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(?:VITEST|VITE_|TEST$|NODE_ENV$)/.test(name));
  return { ...Object.fromEntries(entries), ENTREPOT_LONG: '1' };
}
