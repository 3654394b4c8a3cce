import type { UploadRecord } from '../metadata/records.ts';

/**
 * Whether `by` may go on with an upload, see how far it is or cancel it: who has said who they are alone (reliability.md, S41). One that was
 * begun by nobody in particular is whoever's that knows its id, which nobody can guess: their address may change as they push.
 */
export function isTheirs({ by }: Pick<UploadRecord, 'by'>, asking: string): boolean {
  return by === undefined || by.startsWith('address:') || by === asking;
}
