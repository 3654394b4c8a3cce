import { spawn } from 'node:child_process';

/** Runs a program, as a port. */
export type RunProgram = (program: Program, signal: AbortSignal) => Promise<ProgramResult>;

export interface Program {
  /** Found by PATH; no shell sees it, nor its arguments. */
  readonly name: string;
  readonly args: readonly string[];
  readonly input: string;
  readonly outputBytesMax: number;
}

export type ProgramResult =
  | { readonly kind: 'ended'; readonly code: number; readonly output: Uint8Array }
  | { readonly kind: 'too much output' };

/**
 * Rejects with Node's own error when it cannot be started (`ENOENT`, `EACCES`), and with the signal's reason. Then, and when
 * it says too much, it is killed with all that it has started: nobody waits for a grandchild that holds its output open.
 */
export const runProgram: RunProgram = ({ name, args, input, outputBytesMax }, signal) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    // A group of its own, so that it can be killed as one. What it writes of its trouble may hold secrets, and is not read.
    const child = spawn(name, args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      child.stdout.destroy();
    };
    const kill = (): void => {
      settle();
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    };
    const onAbort = (): void => {
      kill();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= outputBytesMax) return;
      kill();
      resolve({ kind: 'too much output' });
    });
    child.on('close', (code) => {
      settle();
      resolve({ kind: 'ended', code: code ?? -1, output: Buffer.concat(chunks) });
    });
    // One that ends without reading has its reasons.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
