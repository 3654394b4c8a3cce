import { RegistryError } from '../oci/errors.ts';

export function unknownUpload(): RegistryError {
  return new RegistryError(
    'BLOB_UPLOAD_UNKNOWN',
    'there is no such upload here: it was finished, cancelled, or left alone for too long',
  );
}

/** The specification has no code for it; clients that meet it are two that share one upload. */
export function busyUpload(): RegistryError {
  return new RegistryError('BLOB_UPLOAD_INVALID', 'another request writes to this upload now', {
    status: 409,
    headers: { 'retry-after': '1' },
  });
}
