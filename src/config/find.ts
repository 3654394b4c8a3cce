import { resolve } from 'node:path';

/** Looked at in this order when neither the command line nor a variable names a file (contract, *CONFIG*). */
const PLACES = ['/etc/entrepot/config.yml', './config.yml', '/etc/distribution/config.yml', '/etc/docker/registry/config.yml'];

export interface FindOptions {
  /** CONFIG of the command line, if given. */
  readonly argument?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory, absolute. */
  readonly directory: string;
}

/**
 * Files that may hold the configuration, the first that exists being it; `named` says that the only one was asked for, so
 * that its absence is a fault. `by` is who asked.
 */
export interface Candidates {
  readonly paths: readonly string[];
  readonly named: boolean;
  readonly by: string;
}

export function candidates({ argument, env, directory }: FindOptions): Candidates {
  const asked = [
    ['the command line', argument],
    ['ENTREPOT_CONFIG', env['ENTREPOT_CONFIG']],
    ['REGISTRY_CONFIGURATION_PATH', env['REGISTRY_CONFIGURATION_PATH']],
  ] as const;
  for (const [by, path] of asked) if (path) return { paths: [resolve(directory, path)], named: true, by };
  return { paths: PLACES.map((path) => resolve(directory, path)), named: false, by: 'nobody' };
}
