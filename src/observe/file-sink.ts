import type { LineSink } from './line-sink.ts';

export interface FileSinkOptions {
  /** Puts text at the end of the file; rejects where it cannot, and is then called with the same again. One call at a time. */
  readonly append: (text: string) => Promise<void>;
  /** Calls back once after `ms`. */
  readonly after: (ms: number, callback: () => void) => { cancel(): void };
  /** Once for each trouble: with what is wrong, then `undefined`, when all that waited is written. */
  readonly onTrouble: (error: unknown) => void;
  /** Characters that wait for a file that cannot be written; beyond it lines are dropped. */
  readonly backlogMax?: number;
}

export interface FileSink extends LineSink {
  /** Tries what waits once more, and then writes nothing. */
  stop(): Promise<void>;
}

/** About 10,000 records of the audit. */
const BACKLOG_MAX = 4 * 1024 * 1024;
const RETRY_MS = 5000;

/** Lines to a file, in batches, while nobody waits for them. */
export function createFileSink({ append, after, onTrouble, backlogMax = BACKLOG_MAX }: FileSinkOptions): FileSink {
  let waiting: string[] = [];
  let length = 0;
  let dropped = 0;
  let troubled = false;
  let stopped = false;
  let retry: { cancel(): void } | undefined;
  let writing: Promise<void> | undefined;

  function begin(): Promise<void> {
    retry?.cancel();
    retry = undefined;
    writing ??= writeAll();
    return writing;
  }

  async function writeAll(): Promise<void> {
    try {
      while (waiting.length > 0) {
        await writeBatch();
        if (waiting.length === 0 && troubled) {
          troubled = false;
          // Who hears of it may have something to write.
          onTrouble(undefined);
        }
      }
    } catch (error) {
      if (!troubled) onTrouble(error);
      troubled = true;
      if (!stopped) retry = after(RETRY_MS, () => void begin());
    } finally {
      // At once, so that what comes next finds it ended.
      writing = undefined;
    }
  }

  async function writeBatch(): Promise<void> {
    const batch = waiting;
    waiting = [];
    try {
      await append(batch.join(''));
    } catch (error) {
      waiting = [...batch, ...waiting];
      throw error;
    }
    length -= batch.reduce((sum, line) => sum + line.length, 0);
  }

  return {
    write(line) {
      if (stopped || length + line.length > backlogMax) {
        dropped += 1;
        return;
      }
      waiting.push(line);
      length += line.length;
      if (retry === undefined) void begin();
    },
    dropped: () => dropped,
    async stop() {
      stopped = true;
      await writing;
      if (waiting.length > 0) await begin();
      retry?.cancel();
    },
  };
}
