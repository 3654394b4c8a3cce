import type { Credentials, CredentialsProvider } from '../credentials.ts';

/** A secret as it is now: written in the configuration, or in a file. */
export type SecretText = () => Promise<string>;

/** Accounts whose secret is their own; `username` where there is one. */
export type WrittenAccount =
  | { readonly kind: 'password'; readonly username: string; readonly secret: SecretText }
  | { readonly kind: 'identity'; readonly username: string; readonly secret: SecretText }
  | { readonly kind: 'bearer'; readonly secret: SecretText };

export function writtenCredentials(account: WrittenAccount): CredentialsProvider {
  return async () => credentialsOf(account, await account.secret());
}

function credentialsOf(account: WrittenAccount, secret: string): Credentials {
  switch (account.kind) {
    case 'password':
      return { kind: 'password', username: account.username, password: secret };
    case 'identity':
      return { kind: 'identity', username: account.username, token: secret };
    case 'bearer':
      return { kind: 'bearer', token: secret };
  }
}
