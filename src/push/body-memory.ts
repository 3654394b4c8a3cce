import { RegistryError } from '../oci/errors.ts';

/** Bytes of manifests that are being pushed which this process holds at once: what a thousand ordinary pushes need, and more. */
export const MANIFESTS_BYTES_MAX = 64 * 1024 * 1024;

/** What the bodies of all requests that are read whole hold together (promise 7). Counted as it comes, not as it is announced. */
export class BodyMemory {
  readonly #max: number;
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Throws RegistryError 503 where there is no room: to wait with what one holds would be to wait for each other. */
  take(bytes: number): void {
    if (this.#held + bytes > this.#max) {
      const message = 'too many manifests are being pushed at once: try again in a moment';
      throw new RegistryError('UNAVAILABLE', message, { status: 503, headers: { 'retry-after': '1' } });
    }
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}
