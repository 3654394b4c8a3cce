import type { CommandContext } from './context.ts';

/** How far a long command is: a bar on a terminal, a line now and then elsewhere, nothing where JSON is printed. */
export interface Progress {
  at(done: number, all: number, text: string): void;
  /** A line that stays. */
  line(text: string): void;
  end(): void;
}

/** Between two lines where nobody watches, ms. */
const LINE_MS = 10_000;
const BAR_LENGTH = 24;
/** Of a terminal that does not say. */
const COLUMNS = 80;
const CLEAR_LINE = '\r\x1b[K';

export function createProgress({ terminal, clock }: Pick<CommandContext, 'terminal' | 'clock'>, silent: boolean): Progress {
  let barred = false;
  let told = clock.monotonic();

  function clear(): void {
    if (barred) terminal.out(CLEAR_LINE);
    barred = false;
  }

  return {
    at(done, all, text) {
      if (silent) return;
      if (terminal.interactive) {
        barred = true;
        // What is longer than the line would stay on the next one.
        const line = printable(`${bar(done, all)} ${text}`).slice(0, (terminal.stream.columns || COLUMNS) - 1);
        return terminal.out(`${CLEAR_LINE}${line}`);
      }
      if (clock.monotonic() - told < LINE_MS) return;
      told = clock.monotonic();
      terminal.out(`${percent(done, all)}% ${printable(text)}\n`);
    },
    line(text) {
      clear();
      terminal.out(`${printable(text)}\n`);
    },
    end: clear,
  };
}

/** Names on a disk may hold escape sequences (reliability.md, S47). */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?');
}

function bar(done: number, all: number): string {
  const full = Math.floor((percent(done, all) / 100) * BAR_LENGTH);
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_LENGTH - full)}] ${percent(done, all)}%`;
}

function percent(done: number, all: number): number {
  return all === 0 ? 100 : Math.min(100, Math.floor((done / all) * 100));
}
