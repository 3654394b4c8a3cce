import type { BypassReason } from './events.ts';

/** Which part could not be asked: a disk's errors carry Node's `code` (`ENOSPC`, `EIO` …), those of the records none. */
export function troubleOf(error: unknown): BypassReason {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? 'storage' : 'metadata';
}
