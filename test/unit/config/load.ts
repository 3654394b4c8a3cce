import { loadConfig } from '../../../src/config/load.ts';
import type { Account, Config } from '../../../src/config/config.ts';
import { ConfigError } from '../../../src/config/fault.ts';
import { Secret } from '../../../src/config/secret.ts';

export interface Given {
  readonly env?: Readonly<Record<string, string>>;
  /** More files than the configuration, by absolute path. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Loads `yaml` as /etc/test/config.yml, from the working directory /etc/test; without `yaml` there is no file. */
export function load(yaml: string | undefined, given: Given = {}): Promise<Config> {
  const files = new Map(Object.entries({ ...(yaml === undefined ? {} : { '/etc/test/config.yml': yaml }), ...given.files }));
  return loadConfig({
    env: given.env ?? {},
    directory: '/etc/test',
    readFile: (path) => Promise.resolve(files.get(path)),
  });
}

/** The message that `yaml` is refused with; fails when it is accepted. */
export async function refusal(yaml: string | undefined, given: Given = {}): Promise<string> {
  const outcome = await load(yaml, given).catch((error: unknown) => error);
  if (outcome instanceof ConfigError) return outcome.message;
  throw new Error('expected a ConfigError', { cause: outcome });
}

/** The shortest configuration that is whole. */
export const ROUTES = 'routes: [{ match: "**", upstreams: [origin] }]\n';

/** The password of an account that holds one itself. */
export function passwordOf(account: Account | undefined): string | undefined {
  return account?.kind === 'password' && account.password instanceof Secret ? account.password.reveal() : undefined;
}
