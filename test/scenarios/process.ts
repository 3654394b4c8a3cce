import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRecords, createRunning, type Running } from './running.ts';
import type { Settings } from './settings.ts';

/** The built program as users have it. */
export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** The same in few files, where tests run: it starts in half the time (bundled-program.ts). */
export const PROGRAM = resolve(process.env['ENTREPOT_PROGRAM'] ?? MAIN);

export interface RunningProcess extends Running {
  readonly pid: number;
  /** What it wrote to stderr. */
  stderr(): string;
  /** Sends a signal and waits for the end; yields the exit code, or the signal. */
  kill(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** Sends a signal that it lives through. */
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, unless it has ended already. */
  stop(): Promise<void>;
  /** Anonymous memory that is resident, bytes (`RssAnon`). */
  memory(): Promise<number>;
  /** Open descriptors, by what they are: `socket`, `file`, `other`. */
  descriptors(): Promise<{ readonly all: number; readonly sockets: number; readonly files: number }>;
}

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** For node itself: `--max-old-space-size=…`. */
  readonly execArgv?: readonly string[];
  /** As users have it, and not in few files. */
  readonly shipped?: boolean;
  /** Instead of `serve` and the file. */
  readonly args?: readonly string[];
  /** Is run with the whole command line behind it: a shell that first changes what the program will see. */
  readonly through?: readonly string[];
}

/**
 * The built program; rejects with what it said if it ends before it listens. `settings`: a text stands in
 * the file as it is; `undefined` leaves no file.
 */
export async function startProcess(
  settings: Settings | string | undefined,
  directory: string,
  options: ProcessOptions = {},
): Promise<RunningProcess> {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is not there: npm run build');
  const file = join(directory, 'config.yml');
  if (settings !== undefined) await writeFile(file, typeof settings === 'string' ? settings : JSON.stringify(settings));
  const log = createRecords();
  const [program = process.execPath, ...args] = [
    ...(options.through ?? []),
    process.execPath,
    ...(options.execArgv ?? []),
    options.shipped === true ? MAIN : PROGRAM,
    ...(options.args ?? ['serve', file]),
  ];
  const child = spawn(program, args, {
    cwd: directory,
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', log.take);
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
    log.take(text);
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = exited.then(() => Promise.reject(new Error(`it ended before it listened: ${errors}`)));
  const listening = await Promise.race([log.logged('listening'), ended]);
  ended.catch(() => undefined);
  const running = createRunning(listening['addresses'] as Record<string, string>, log);
  const pid = child.pid!;

  async function kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    running.closeClients();
    child.kill(signal);
    const [code, by] = await exited;
    return code ?? by!;
  }

  return {
    ...running,
    pid,
    stderr: () => errors,
    kill,
    signal: (name) => void child.kill(name),
    async stop() {
      await kill();
    },
    memory: () => anonymousBytes(pid),
    descriptors: () => descriptorsOf(pid),
  };
}

async function anonymousBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

async function descriptorsOf(pid: number): Promise<{ all: number; sockets: number; files: number }> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  return {
    all: targets.filter((target) => target !== '').length,
    sockets: targets.filter((target) => target.startsWith('socket:')).length,
    files: targets.filter((target) => target.startsWith('/')).length,
  };
}
