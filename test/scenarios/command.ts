import { run } from '../../src/commands/program.ts';
import { systemContext } from '../../src/commands/system-context.ts';
import { startServer } from '../../src/compose.ts';
import { openStore, proveUpstreams, restoreStore } from '../../src/compose/open-store.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One command of the program, in this process and as in a shell: its directory, nothing in its environment, no terminal. */
export async function command(directory: string, args: readonly string[]): Promise<Ran> {
  let [out, err] = ['', ''];
  const context = systemContext({ startServer, openStore, restoreStore, proveUpstreams });
  const code = await run(args, {
    ...context,
    env: {},
    directory,
    terminal: {
      ...context.terminal,
      interactive: false,
      out: (text) => void (out += text),
      err: (text) => void (err += text),
    },
  });
  return { code, out, err };
}
