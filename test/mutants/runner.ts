import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

export type Verdict =
  | { readonly kind: 'passed'; readonly tests: number; readonly ms: number }
  /** The first test that failed, by its full name, or what a hook said. */
  | { readonly kind: 'failed'; readonly by: string }
  | { readonly kind: 'hung' }
  /** No test ran: the edit does not even load, or nothing has that name. */
  | { readonly kind: 'broken'; readonly why: string };

export interface Asked {
  /** Test files, from the tree's root. */
  readonly test: readonly string[];
  /** Only tests whose full name matches this pattern. */
  readonly testName: string | undefined;
  /** The file that is not as it was in the run before, and will not be as it is in the next: its whole path. */
  readonly changed: string;
  /** A run that takes longer has hung, and ends with all the processes that it started. */
  readonly msMax: number;
}

/** Runs tests in a tree, one run at a time. It is a process that stays (runner.mjs), and is made anew when it has hung or died. */
export interface Runner {
  run(asked: Asked): Promise<Verdict>;
  end(): void;
}

export function createRunner(tree: string): Runner {
  let standing: RunnerProcess | undefined;

  function end(): void {
    standing?.end();
    standing = undefined;
  }

  return {
    async run(asked) {
      // What an edit left behind may have ended it since.
      if (standing?.dead() === true) end();
      standing ??= startProcess(tree);
      const verdict = await standing.ask(asked);
      if (verdict.kind === 'hung') end();
      return verdict;
    },
    end,
  };
}

interface RunnerProcess {
  ask(asked: Asked): Promise<Verdict>;
  dead(): boolean;
  /** With all the processes that it started. */
  end(): void;
}

function startProcess(tree: string): RunnerProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'leash.mjs'), join(tree, 'test/mutants/runner.mjs')], {
    cwd: tree,
    env: environment(),
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  }
  const died = once(child, 'exit').then((): Verdict => ({ kind: 'broken', why: said }));

  return {
    async ask(asked) {
      const over = new AbortController();
      const answer = once(child, 'message', { signal: over.signal }).then(([verdict]) => verdict as Verdict);
      const hung = setTimeout<Verdict>(asked.msMax, { kind: 'hung' }, { signal: over.signal });
      // Where it cannot be told any more it has died.
      child.send(asked, () => undefined);
      try {
        return await Promise.race([answer, hung, died]);
      } finally {
        over.abort();
      }
    },
    dead: () => child.exitCode !== null || child.signalCode !== null,
    end: () => endGroup(child),
  };
}

function endGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-pid!, 'SIGKILL');
  } catch (error) {
    // Nobody is left.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ours, without what tells a test runner that it runs inside another. */
function environment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(?:VITEST|VITE_|TEST$|NODE_ENV$)/.test(name));
  return { ...Object.fromEntries(entries), ENTREPOT_LONG: '1' };
}
