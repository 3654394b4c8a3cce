import { RegistryError } from '../oci/errors.ts';

/** What was asked cannot be done; `message` is one line that says what to do. The socket answers it 422, a command exits 1. */
export class AdminError extends RegistryError {
  constructor(message: string) {
    super('UNSUPPORTED', message);
  }
}
