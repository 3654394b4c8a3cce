import { RegistryError } from './errors.ts';

/**
 * 404 for a repository that no route leads to, and in the same words for one that whoever asks may not see: nobody can tell
 * the one from the other. `holder` is `registry/repository`.
 */
export function noSuchName(holder: string): RegistryError {
  return new RegistryError(
    'NAME_UNKNOWN',
    `${holder} is not to be had here: no route leads to it, or access does not allow it`,
  );
}
