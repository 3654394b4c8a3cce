import type { Report } from './events.ts';
import { toUpstreamError } from './failure.ts';
import { UpstreamError } from './upstream.ts';

export interface Explaining {
  /** Whatever goes wrong leaves as UpstreamError, reported and remembered; a caller's abort keeps its own reason. */
  explain<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** What went wrong last. */
  lastError(): string | undefined;
}

export function createExplaining(upstream: string, { host }: URL, report: Report): Explaining {
  let last: string | undefined;
  return {
    lastError: () => last,
    async explain(work, signal) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted && !(error instanceof UpstreamError)) throw error;
        const failure = toUpstreamError(upstream, host, error, 'answer');
        last = failure.message;
        report({ kind: 'upstream-error', upstream, reason: failure.reason, message: failure.message });
        throw failure;
      }
    },
  };
}
