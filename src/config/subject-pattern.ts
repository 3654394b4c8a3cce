/** Who a rule of `access` or a group names; `auth/access.ts` reads it. */
export type SubjectPattern =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'user' | 'token' | 'group'; readonly name: string }
  | { readonly kind: 'oidc'; readonly issuer: string; readonly claim: string; readonly value: string };

const NAME = /^[^\s:,*?"'{}[\]]+$/;

/** With `*` for any text. */
const NAME_PATTERN = /^[^\s:,?"'{}[\]]+$/;

/** `user:ann`, `group:dev`, `token:ci-*`, `oidc:github:repository_owner=acme`, `signed-in`, `anyone`; `undefined`: none of them. */
export function parseSubjectPattern(written: string): SubjectPattern | undefined {
  if (written === 'anyone' || written === 'signed-in') return { kind: written };
  const [kind, ...behind] = written.split(':');
  const rest = behind.join(':');
  switch (kind) {
    case 'user':
    case 'token':
      return NAME_PATTERN.test(rest) ? { kind, name: rest } : undefined;
    case 'group':
      return NAME.test(rest) ? { kind, name: rest } : undefined;
    case 'oidc': {
      const [, issuer, claim, value] = /^([^\s:]+):([^\s=:]+)=(.+)$/.exec(rest) ?? [];
      return issuer === undefined || claim === undefined || value === undefined ? undefined : { kind, issuer, claim, value };
    }
    default:
      return undefined;
  }
}

/** What was most likely meant by something that is none. */
export function guessSubject(written: string): string | undefined {
  const word = written.toLowerCase();
  if (['*', 'all', 'anonymous', 'everyone', 'everybody', 'public'].includes(word)) return 'anyone';
  if (['authenticated', 'signed_in', 'signedin', 'users', 'logged-in'].includes(word)) return 'signed-in';
  return NAME.test(written) ? `user:${written}` : undefined;
}
