import { RegistryError } from '../oci/errors.ts';
import { uploadHeaders } from './answers.ts';
import type { PushName } from './request.ts';

/** `to` is exclusive, unlike in the header. */
export interface ContentRange {
  readonly from: number;
  readonly to: number;
}

/** The specification's form, and RFC 9110's, which some clients send. */
const FORM = /^(?:bytes )?([0-9]{1,15})-([0-9]{1,15})(?:\/(?:[0-9]+|\*))?$/;

/**
 * The place of a chunk (OCI distribution-spec, "Pushing a blob in chunks"). Throws RegistryError 400 for what is none, or
 * for one of another size than the body's.
 */
export function parseContentRange(header: string, length: number | undefined): ContentRange {
  const [, first, last] = FORM.exec(header) ?? [];
  const range = { from: Number(first), to: Number(last) + 1 };
  if (first === undefined || last === undefined || range.to <= range.from) {
    const message = `Content-Range: "${header.slice(0, 100)}" is not the first and the last byte of a chunk, such as 0-1023`;
    throw new RegistryError('BLOB_UPLOAD_INVALID', message, { status: 400 });
  }
  if (length !== undefined && length !== range.to - range.from) {
    throw new RegistryError('SIZE_INVALID', `Content-Range names ${range.to - range.from} bytes, Content-Length ${length}`);
  }
  return range;
}

/** 416, with what is there: the client goes on behind it. */
export function rangeRefused(name: PushName, session: string, offset: number, range: ContentRange): RegistryError {
  const message = `the chunk begins at ${range.from}; the upload goes on at ${offset}`;
  return new RegistryError('RANGE_INVALID', message, { headers: uploadHeaders(name, session, offset) });
}

/** Throws where a body without length ended before its range did; what came stays. */
export function checkEnd(range: ContentRange, offset: number): void {
  if (offset === range.to) return;
  throw new RegistryError('SIZE_INVALID', `the body ended at ${offset}; its Content-Range ends at ${range.to}`);
}
