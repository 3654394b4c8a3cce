import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

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
}

/** Runs tests in a tree, one run at a time. It is a process that stays (runner.mjs), and is made anew when it has hung or died. */
export interface Runner {
  /** `msMax`: a run that takes longer has hung, and ends with all the processes that it started. */
  run(asked: Asked, msMax: number): Promise<Verdict>;
  end(): void;
}

export function createRunner(tree: string): Runner {
  let standing: RunnerProcess | undefined;

  function end(): void {
    standing?.end();
    standing = undefined;
  }

  return {
    async run(asked, msMax) {
      standing ??= startProcess(tree);
      const { verdict, ended } = await standing.ask(asked, msMax);
      if (ended) end();
      return verdict;
    },
    end,
  };
}

interface RunnerProcess {
  /** `ended`: it answers no more, since it hangs or has died. */
  ask(asked: Asked, msMax: number): Promise<{ readonly verdict: Verdict; readonly ended: boolean }>;
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
  return {
    ask: (asked, msMax) =>
      new Promise((resolve) => {
        const settle = (verdict: Verdict, ended: boolean): void => {
          clearTimeout(limit);
          child.removeAllListeners();
          resolve({ verdict, ended });
        };
        const limit = setTimeout(() => settle({ kind: 'hung' }, true), msMax);
        child.once('message', (verdict) => settle(verdict as Verdict, false));
        child.once('exit', () => settle({ kind: 'broken', why: said }, true));
        child.send(asked);
      }),
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
