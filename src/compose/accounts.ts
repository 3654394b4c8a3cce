import { createHash } from 'node:crypto';
import type { Account, SecretText } from '../config/config.ts';
import { accountOf, serverOf, type DockerAccount } from '../config/docker-config.ts';
import { Secret } from '../config/secret.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { RunProgram } from '../system/run-program.ts';
import { CredentialsUnavailable, type CredentialsProvider } from '../upstream/credentials.ts';
import { acrSource, type AzureIdentity } from '../upstream/credentials/acr.ts';
import { dockerConfigCredentials, type HelperNamed } from '../upstream/credentials/docker-config.ts';
import { ecrSource } from '../upstream/credentials/ecr.ts';
import { fileSecret, fileText } from '../upstream/credentials/file-text.ts';
import { gcpSource } from '../upstream/credentials/gcp.ts';
import { helperSource } from '../upstream/credentials/docker-credential.ts';
import { keptCredentials, type Source } from '../upstream/credentials/kept.ts';
import { writtenCredentials, type SecretText as SecretNow } from '../upstream/credentials/written.ts';
import type { Credentials } from '../upstream/credentials.ts';
import { parseUrl } from '../oci/url.ts';

export interface AccountDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly run: RunProgram;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What signs in with an account. `registry` is the address of whom it signs in to. */
export function credentialsOf(account: Account, registry: URL, deps: AccountDeps): CredentialsProvider {
  const kept = (source: Source): CredentialsProvider => keptCredentials(source, deps.clock);
  const helper = (name: string, server: string): CredentialsProvider => kept(helperSource({ helper: name, server }, deps.run));
  switch (account.kind) {
    case 'password':
      return writtenCredentials({ ...account, secret: secretNow(account.password, deps) });
    case 'identity':
    case 'bearer':
      return writtenCredentials({ ...account, secret: secretNow(account.token, deps) });
    case 'docker': {
      const { file, name } = account;
      return dockerConfigCredentials({ text: fileText(file, deps), read: (text) => revealed(accountOf(text, name)), helper });
    }
    case 'helper':
      return helper(account.helper, serverOf(account.name.split('/')[0] ?? ''));
    case 'ecr': {
      const { region, endpoint } = account;
      return kept(ecrSource({ region, ...(endpoint === undefined ? {} : { endpoint: new URL(endpoint) }) }, deps));
    }
    case 'gcp':
      return kept(gcpSource(account.keyfile === undefined ? {} : { key: fileText(account.keyfile, deps) }, deps));
    case 'acr':
      return kept(acrSource({ identity: azureIdentity(account, deps), authority: authorityOf(account, deps), registry }, deps));
  }
}

/** Names an account by all that is written of it but its secrets, which hide themselves: one that is rotated is the same. */
export function payerOf(account: Account): string {
  return createHash('sha256').update(JSON.stringify(account)).digest('hex').slice(0, 16);
}

/** Tells the accounts of one registry apart. */
export function named(provider: CredentialsProvider, account: string): CredentialsProvider {
  return async (repository, isRefused) => {
    try {
      const credentials = await provider(repository, isRefused);
      return credentials && { ...credentials, account };
    } catch (error) {
      // Of what else is thrown the words are not known, and may quote a secret.
      const { message, refused } =
        error instanceof CredentialsUnavailable ? error : { message: 'for an unknown reason', refused: false };
      throw new CredentialsUnavailable(message, { refused, account });
    }
  };
}

function secretNow(secret: SecretText, deps: AccountDeps): SecretNow {
  if (secret instanceof Secret) return async () => secret.reveal();
  return fileSecret(secret.file, deps);
}

function revealed(account: DockerAccount | string): Credentials | HelperNamed | string {
  if (typeof account === 'string' || account.kind === 'helper') return account;
  return account.kind === 'password'
    ? { ...account, password: account.password.reveal() }
    : { ...account, token: account.token.reveal() };
}

type AcrAccount = Extract<Account, { kind: 'acr' }>;

/** What is not written is taken from where Azure's workload identity puts it. */
function azureIdentity(account: AcrAccount, deps: AccountDeps): AzureIdentity {
  const tenant = account.tenant ?? deps.env['AZURE_TENANT_ID'];
  const client = account.clientid ?? deps.env['AZURE_CLIENT_ID'];
  const tokenfile = account.tokenfile ?? deps.env['AZURE_FEDERATED_TOKEN_FILE'];
  if (tenant !== undefined && client !== undefined) {
    if (account.secret !== undefined) return { kind: 'principal', tenant, client, secret: secretNow(account.secret, deps) };
    if (tokenfile !== undefined) return { kind: 'workload', tenant, client, token: fileText(tokenfile, deps) };
  }
  return { kind: 'managed', client };
}

function authorityOf(account: AcrAccount, { env }: AccountDeps): URL {
  const written = account.authority ?? env['AZURE_AUTHORITY_HOST'] ?? '';
  return parseUrl(written) ?? new URL('https://login.microsoftonline.com');
}
