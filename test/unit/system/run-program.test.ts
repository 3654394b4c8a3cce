import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runProgram, type ProgramResult } from '../../../src/system/run-program.ts';

let directory = '';
const never = new AbortController().signal;

beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'entrepot-program-'))));
afterEach(() => rm(directory, { recursive: true, force: true }));

async function script(text: string): Promise<string> {
  const file = join(directory, 'program');
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
  return file;
}

async function run(text: string, more: { input?: string; args?: string[]; signal?: AbortSignal } = {}): Promise<ProgramResult> {
  const { input = '', args = [], signal = never } = more;
  return await runProgram({ name: await script(text), args, input, outputBytesMax: 1000 }, signal);
}

const outputOf = (result: ProgramResult): string => (result.kind === 'ended' ? Buffer.from(result.output).toString() : '');

/** True while a process runs. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function pidIn(file: string): Promise<number> {
  for (;;) {
    const pid = Number(await readFile(file, 'utf8').catch(() => ''));
    if (pid > 0) return pid;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a program', () => {
  test('is told on its input and heard on its output; no shell looks at its arguments', async () => {
    const result = await run('cat; printf "%s" "$1"', { input: 'in $(id) ', args: ['$(id); `id` > x'] });
    expect(result).toMatchObject({ kind: 'ended', code: 0 });
    expect(outputOf(result)).toBe('in $(id) $(id); `id` > x');
  });

  test('that fails says with which code, what it complains of is not heard', async () => {
    const result = await run('echo secret >&2; exit 7');
    expect(result).toEqual({ kind: 'ended', code: 7, output: Buffer.alloc(0) });
  });

  test('that reads nothing is no trouble', async () => {
    expect(await run('exit 0', { input: 'x'.repeat(1_000_000) })).toMatchObject({ code: 0 });
  });

  test('that is not there cannot be run', async () => {
    const program = { name: join(directory, 'none'), args: [], input: '', outputBytesMax: 1 };
    await expect(runProgram(program, never)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('that says too much is ended', async () => {
    expect(await run('echo $$ > "$0.pid"; yes')).toEqual({ kind: 'too much output' });
    const pid = await pidIn(join(directory, 'program.pid'));
    while (runs(pid)) await new Promise((resolve) => setImmediate(resolve));
  });

  test('that hangs is ended with all that it has started', async () => {
    const limit = new AbortController();
    const running = run('sleep 600 & echo $! > "$0.pid"; wait', { signal: limit.signal });
    const pid = await pidIn(join(directory, 'program.pid'));
    limit.abort(new Error('time is up'));
    await expect(running).rejects.toThrow('time is up');
    while (runs(pid)) await new Promise((resolve) => setImmediate(resolve));
  });

  test('is not begun when it is too late', async () => {
    await expect(run('touch "$0.ran"', { signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow('late');
    await expect(readFile(join(directory, 'program.ran'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
