import { pino, type Logger } from 'pino';
import type { LineSink } from './line-sink.ts';
import { redact } from './redact.ts';
import { formatText } from './text-format.ts';

/** The official registry's levels (`log.level`). */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export type LogFields = Readonly<Record<string, unknown>>;

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one JSON object a line. `text`: one readable line, for a terminal. */
  readonly formatter: 'json' | 'text';
  /** `log.fields`: added to every record. */
  readonly fields: LogFields;
  readonly sink: LineSink;
}

/**
 * Where the house says what happened. A record is one line whatever its values hold (control characters leave as JSON
 * escapes), carries no secret (redact.ts), and is written without ever waiting for the reader.
 */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** Printed whatever the level: `listening`, by which scripts learn the port. Its level reads `info`. */
  always(message: string, fields?: LogFields): void;
  /** Takes effect with the next record; a reload may change it. */
  setLevel(level: LogLevel): void;
  /** Records lost because nobody read them. */
  dropped(): number;
}

export function createLog(options: LogOptions): Log {
  let threshold = severity(options.level);
  const logger = createLogger(options);
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (severity(level) <= threshold) logger[level](redact(fields), message);
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    always: (message, fields = {}) => logger.info(redact(fields), message),
    setLevel: (level) => {
      threshold = severity(level);
    },
    dropped: () => options.sink.dropped(),
  };
}

/** pino's own threshold stays at its lowest, so that `always` passes; ours is in `createLog`. */
function createLogger(options: LogOptions): Logger {
  const { sink, formatter } = options;
  const write = formatter === 'json' ? sink.write : (line: string) => sink.write(formatText(line));
  return pino(
    {
      level: 'debug',
      base: redact(options.fields),
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
}

const SEVERITIES: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

function severity(level: LogLevel): number {
  return SEVERITIES.indexOf(level);
}
