import type { RequestEvent } from '../observe/events.ts';
import { requestLine } from './request-line.ts';

/** Fans requests out to whoever watches. Nobody watching costs nothing, and a slow watcher loses lines, not us memory. */
export interface Tail {
  push(event: RequestEvent, now: number): void;
  pushLine(line: string): void;
  /** Lines from now on. Ends with the signal; `… N lines lost` stands where the reader was too slow. */
  lines(signal: AbortSignal): AsyncIterable<string>;
}

/** Lines that wait for one watcher. */
export const WAITING_LINES_MAX = 1000;

interface Watcher {
  readonly waiting: string[];
  lost: number;
  wake: () => void;
}

export function createTail(): Tail {
  const watchers = new Set<Watcher>();
  function pushLine(line: string): void {
    for (const watcher of watchers) {
      if (watcher.waiting.length < WAITING_LINES_MAX) watcher.waiting.push(line);
      else watcher.lost += 1;
      watcher.wake();
    }
  }
  return {
    push(event, now) {
      if (watchers.size > 0) pushLine(requestLine(event, now));
    },
    pushLine,
    lines: (signal) => watch(watchers, signal),
  };
}

/** The watcher is enrolled at once, not with the first `next`: what happens between the two is not lost. */
function watch(watchers: Set<Watcher>, signal: AbortSignal): AsyncIterable<string> {
  const watcher: Watcher = { waiting: [], lost: 0, wake: () => {} };
  watchers.add(watcher);
  const leave = (): void => {
    watchers.delete(watcher);
    watcher.wake();
  };
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  return { [Symbol.asyncIterator]: () => drain(watcher, signal, leave) };
}

async function* drain(watcher: Watcher, signal: AbortSignal, leave: () => void): AsyncGenerator<string> {
  try {
    while (!signal.aborted) {
      yield* watcher.waiting.splice(0);
      if (watcher.lost > 0) {
        const lost = watcher.lost;
        watcher.lost = 0;
        yield `… ${lost} lines lost`;
      }
      if (watcher.waiting.length > 0 || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        watcher.wake = resolve;
      });
    }
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}
