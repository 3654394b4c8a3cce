import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian's package of each program that the client tests run. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  'docker-registry': 'docker-registry',
  dockerd: 'docker.io',
  docker: 'docker.io',
  containerd: 'containerd',
  ctr: 'containerd',
  podman: 'podman',
  skopeo: 'skopeo',
  buildah: 'buildah',
  runc: 'runc',
};

/** What no package brings: `npm run test:full` compiles it where there is Go. */
const COMPILED: ReadonlySet<string> = new Set(['crane', 'oras', 'helm', 'cosign', 'buildkitd', 'buildctl']);

/** Set by `npm run test:full` where Go is absent or too old: why it could compile nothing. */
const WITHOUT_GO = process.env['ENTREPOT_WITHOUT_GO'];

/** Where the daemons are that a user's PATH leaves out. */
const PATH = [process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(delimiter);

/** Why a test that needs these programs, as root, cannot run here; `undefined` when it can. */
export function whyNot(programs: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  const missing = programs.filter((program) => !isThere(program));
  return missing.length === 0 ? undefined : `${missing.join(', ')} not installed (${howToInstall(missing)})`;
}

function howToInstall(missing: readonly string[]): string {
  const packages = new Set(
    missing.filter((program) => !COMPILED.has(program)).map((program) => PACKAGE_OF[program] ?? program),
  );
  const debian = packages.size === 0 ? [] : [`apt-get install ${[...packages].join(' ')}`];
  const compiled = missing.some((program) => COMPILED.has(program)) ? [WITHOUT_GO ?? 'npm run test:full compiles it'] : [];
  return [...debian, ...compiled].join('; ');
}

/** Of a test that needs these programs: why it cannot run here, and whether it is skipped even where all must run. */
export function needs(programs: readonly string[]): { readonly whyNot?: string; readonly optional?: boolean } {
  const reason = whyNot(programs);
  if (reason === undefined) return {};
  const optional = WITHOUT_GO !== undefined && programs.every((program) => COMPILED.has(program) || isThere(program));
  return { whyNot: reason, optional };
}

function isThere(program: string): boolean {
  return PATH.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not in this one.
      return false;
    }
  });
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Where it runs, for programs that take relative paths alone. */
  readonly cwd?: string;
  /** Yields what it says on stderr too, where some tell of their progress. */
  readonly stderr?: boolean;
}

/** Runs to the end; yields stdout. Rejects with everything that was said when it does not exit with 0. */
export async function run(program: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const child = spawn(program, args, { env: environment(options), cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(options.input);
  let out = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    all += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (all += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${code ?? signal}\n${all}`);
  return options.stderr === true ? all : out;
}

export interface Daemon {
  readonly pid: number;
  output(): string;
  /** SIGTERM, and SIGKILL when that is not heard for ten seconds. */
  stop(): Promise<void>;
}

/** Starts a daemon and waits until `ready` holds; rejects with its output when it ends, or is not ready in time. */
export async function startDaemon(
  program: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
  options: ProgramOptions = {},
): Promise<Daemon> {
  const child = spawn(program, args, { env: environment(options), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const exited = once(child, 'exit');
  const daemon: Daemon = { pid: child.pid ?? -1, output: () => output, stop: () => stopChild(child, exited) };
  try {
    await untilReady(child, ready);
  } catch (error) {
    await daemon.stop();
    throw new Error(`${program} ${args.join(' ')}: ${(error as Error).message}\n${output}`, { cause: error });
  }
  return daemon;
}

async function untilReady(child: ChildProcess, ready: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await ready())) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`it ended: ${child.exitCode ?? child.signalCode}`);
    if (performance.now() > deadline) throw new Error('it was not ready in 30 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function stopChild(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const harder = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.kill('SIGTERM');
  await exited;
  clearTimeout(harder);
}

/** Nothing of the caller's but PATH; what leads off this machine goes to a proxy that is not there. */
function environment(options: ProgramOptions): Record<string, string> {
  const nowhere = 'http://127.0.0.1:9';
  return { PATH, HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, NO_PROXY: '127.0.0.1,localhost', ...options.env };
}
