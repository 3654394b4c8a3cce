import { CredentialsUnavailable, type Credentials, type CredentialsProvider } from '../credentials.ts';
import type { FileText } from './file-text.ts';

/** Where a docker `config.json` names who has an account, instead of holding it. */
export interface HelperNamed {
  readonly kind: 'helper';
  readonly helper: string;
  readonly server: string;
}

export interface DockerConfigOptions {
  readonly text: FileText;
  /** A string is what is wrong with it, said without its contents. */
  readonly read: (text: string) => Credentials | HelperNamed | string;
  readonly helper: (helper: string, server: string) => CredentialsProvider;
}

/** The file is read again when it changes; a helper that it names is kept for as long as it names that one. */
export function dockerConfigCredentials({ text, read, helper }: DockerConfigOptions): CredentialsProvider {
  let last: { readonly key: string; readonly provider: CredentialsProvider } | undefined;
  return async (repository, isRefused) => {
    const found = read(await text());
    if (typeof found === 'string') throw new CredentialsUnavailable(found, { refused: true });
    if (found.kind !== 'helper') return found;
    const key = `${found.helper} ${found.server}`;
    if (last?.key !== key) last = { key, provider: helper(found.helper, found.server) };
    return await last.provider(repository, isRefused);
  };
}
