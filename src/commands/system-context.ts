import { createRequire } from 'node:module';
import { systemClock } from '../system/clock.ts';
import { nodeDisk } from '../system/node-disk.ts';
import { actAsOwner } from '../system/owner.ts';
import { processors } from '../system/processors.ts';
import { holdProcess, primaryChannel, startWorkerProcess } from '../system/worker-processes.ts';
import type { CommandContext, Signals, Terminal } from './context.ts';
import { createKeyboard } from './keyboard.ts';

/** The real world: this process's streams, signals, clock and disk. */
export function systemContext(
  parts: Pick<CommandContext, 'startServer' | 'openStore' | 'restoreStore' | 'proveUpstreams'>,
): CommandContext {
  return {
    ...parts,
    version: packageVersion(),
    env: process.env,
    directory: process.cwd(),
    clock: systemClock,
    disk: nodeDisk,
    actAsOwner,
    workers: { processors: () => processors(), start: startWorkerProcess, hold: holdProcess, primary: primaryChannel },
    terminal,
    // On stderr, since stdout is what the command yields; and asked for only then, since looking at stdin opens it.
    keyboard: createKeyboard(() => process.stdin, terminal.err),
    signals,
  };
}

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  interactive: process.stdout.isTTY,
  stream: process.stdout,
};

const signals: Signals = {
  on(name, listener) {
    process.on(name, listener);
    return () => void process.off(name, listener);
  },
  exit: (code) => process.exit(code),
};

/** Of package.json, which lies above both `src` and `dist`. */
function packageVersion(): string {
  const read = createRequire(import.meta.url)('../../package.json') as { version: string };
  return read.version;
}
