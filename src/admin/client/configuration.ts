import { RegistryError } from '../../oci/errors.ts';

export interface ClientOptions {
  /** The mirror's address as clients reach it: http or https, a path only behind a proxy that adds one. */
  readonly url: string;
  /** Registries that are asked for through it, `docker.io` among them. */
  readonly registries: readonly string[];
  /** Without falling back to the registry itself. */
  readonly only: boolean;
}

/** A client's own configuration for this mirror. */
export interface ClientConfiguration {
  readonly files: readonly ClientFile[];
  /** The command that makes the client read it, or a sentence where none is needed. */
  readonly reload: string;
  /** A command that pulls through the mirror. */
  readonly try: string;
  /** What else a person must know, each a sentence. */
  readonly notes: readonly string[];
}

export interface ClientFile {
  readonly path: string;
  readonly text: string;
}

/** What was asked for cannot be had of this client; `message` says what to do instead. Over HTTP it is a 400. */
export class ClientConfigurationError extends RegistryError {
  constructor(message: string) {
    super('UNSUPPORTED', message, { status: 400 });
  }
}
