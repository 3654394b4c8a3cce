import type { EdgeClock } from './ports.ts';

/** One of the official registry's `health` checks. */
export interface HealthCheck {
  /** As `/debug/health` names it: `storagedriver_filesystem`, or what is checked. */
  readonly name: string;
  readonly intervalMs: number;
  /** A look that takes longer has failed. */
  readonly timeoutMs: number;
  /** So many looks in a row must fail before it is said; at least 1. */
  readonly threshold: number;
  /** Looks once. Rejects with what is wrong. */
  readonly look: (signal: AbortSignal) => Promise<void>;
}

/** What is wrong, as last seen: asking costs nothing and reaches nobody, however often it is done (S51). */
export interface Health {
  /** By the check's name; empty when all is well. */
  failing(): Readonly<Record<string, string>>;
  /** Begins to look, at once and then by each check's interval. */
  start(): void;
  stop(): void;
}

export function createHealth(checks: readonly HealthCheck[], clock: EdgeClock): Health {
  const watches = checks.map((check) => createWatch(check, clock));
  return {
    failing() {
      const failures = watches.flatMap(({ name, failure }) => {
        const text = failure();
        return text === undefined ? [] : [[name, text] as const];
      });
      return Object.fromEntries(failures);
    },
    start: () => watches.forEach((watch) => watch.start()),
    stop: () => watches.forEach((watch) => watch.stop()),
  };
}

interface Watch {
  readonly name: string;
  failure(): string | undefined;
  start(): void;
  stop(): void;
}

/** The next look is set only after the last has ended, so that a slow target is asked once at a time. */
function createWatch(check: HealthCheck, clock: EdgeClock): Watch {
  let failures = 0;
  let text = '';
  let timer: { cancel(): void } | undefined;
  let running = false;

  async function look(): Promise<void> {
    const error = await lookOnce(check, clock);
    failures = error === undefined ? 0 : failures + 1;
    text = error ?? '';
    if (running) timer = clock.after(check.intervalMs, () => void look());
  }

  return {
    name: check.name,
    failure: () => (failures >= check.threshold ? text : undefined),
    start() {
      running = true;
      void look();
    },
    stop() {
      running = false;
      timer?.cancel();
    },
  };
}

/** What was wrong, or `undefined`. Never rejects. */
function lookOnce(check: HealthCheck, clock: EdgeClock): Promise<string | undefined> {
  return new Promise((resolve) => {
    const abort = new AbortController();
    const timer = clock.after(check.timeoutMs, () => {
      abort.abort(new Error('timeout'));
      resolve(`no answer within ${check.timeoutMs} ms`);
    });
    const finish = (error?: unknown): void => {
      timer.cancel();
      resolve(error === undefined ? undefined : error instanceof Error ? error.message : String(error));
    };
    check.look(abort.signal).then(() => finish(), finish);
  });
}
