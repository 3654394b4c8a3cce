import { NoRoom } from '../blobs/blob-store.ts';
import { RegistryError } from '../oci/errors.ts';
import type { BypassReason, ReportPull } from './events.ts';

/**
 * Which part could not be asked: a disk's errors carry Node's `code` (`ENOSPC`, `EIO` …), those of the records none. `room`:
 * nothing is in trouble, there was no room for this one.
 */
export function troubleOf(error: unknown): BypassReason {
  if (error instanceof NoRoom) return 'room';
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? 'storage' : 'metadata';
}

/**
 * Reads where nobody can be asked instead: trouble is reported and becomes the refusal, never "not there". What the reading
 * itself refuses stays as it is.
 */
export async function readOr<T>(
  report: ReportPull,
  read: () => Promise<T>,
  refusal: (reason: BypassReason, cause: unknown) => RegistryError,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    const reason = troubleOf(error);
    report({ kind: 'bypass', reason, error });
    throw refusal(reason, error);
  }
}

/** What cannot be told is neither "not here" nor anybody else's to answer: 503. */
export function unlessTrouble<T>(report: ReportPull, read: () => Promise<T>): Promise<T> {
  return readOr(report, read, (reason, cause) => {
    const message = `the ${reason} of this registry cannot be asked now, and nobody else may answer for what is hosted here`;
    return new RegistryError('UNAVAILABLE', message, { status: 503, headers: { 'retry-after': '5' }, cause });
  });
}
