/** Takes whole lines and never makes the writer wait. */
export interface LineSink {
  /** Hands the line over, or drops and counts it. Never throws. */
  readonly write: (line: string) => void;
  readonly dropped: () => number;
}

/** The part of a Node writable that we use. */
export interface LineStream {
  readonly writableLength: number;
  readonly destroyed: boolean;
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Held back for a reader that is slow; beyond this lines are dropped. About 4,000 request records. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Lines to a stream whose reader may stop. A pipe's `process.stdout` keeps in memory what the reader does not take, without
 * end: so what waits there is looked at before every line, and a line that would not fit is dropped and counted. Pulls go
 * on (reliability.md, R63). A pipe without reader (EPIPE) drops everything.
 */
export function createLineSink(stream: LineStream, backlogBytesMax: number = BACKLOG_BYTES_MAX): LineSink {
  let dropped = 0;
  // A log that cannot be written is nobody's error: there is no place left to say so, but for the count.
  stream.on('error', () => {});
  return {
    write(line) {
      if (stream.destroyed || stream.writableLength + line.length > backlogBytesMax) dropped += 1;
      else stream.write(line);
    },
    dropped: () => dropped,
  };
}
