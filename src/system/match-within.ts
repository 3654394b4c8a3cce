import { createContext, Script } from 'node:vm';

const match = new Script('texts.findIndex((text) => !fits(text))');

/**
 * The first text that `fits` refuses; -1 for none; `undefined` where that takes longer than `ms` of the processor. A regular
 * expression that an operator wrote may take for ever on what a client sends, and nothing else ends one. A process that was not
 * given the processor meanwhile tries again: its client is not at fault.
 */
export function firstUnfit(texts: readonly string[], fits: (text: string) => boolean, ms: number): number | undefined {
  const before = process.cpuUsage();
  for (;;) {
    const found = tryWithin(texts, fits, ms);
    const { user, system } = process.cpuUsage(before);
    if (found !== undefined || user + system >= ms * 1000) return found;
  }
}

/** Within `ms` by the clock. */
function tryWithin(texts: readonly string[], fits: (text: string) => boolean, ms: number): number | undefined {
  try {
    return Number(match.runInContext(createContext({ texts, fits }), { timeout: ms }));
  } catch (error) {
    // It is no Error of this realm.
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
    if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  }
}
