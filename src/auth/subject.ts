import type { Scope } from '../oci/scope.ts';

export type { Scope };

/** Who asks, as far as that is known. Plain data: it goes through the edge, into logs and into decisions. */
export type Subject =
  /** Nobody has said who they are. */
  | { readonly kind: 'anyone' }
  /** By password, client certificate (its common name) or a token of `auth.token` (its `sub`). */
  | { readonly kind: 'user'; readonly name: string }
  /** By a machine token (`entrepot token create NAME`); `id` tells it from one that had the name before. */
  | { readonly kind: 'token'; readonly name: string; readonly id: string }
  /** By a sign-in token of somebody else's issuer; `issuer` is its name in `auth.oidc`. */
  | { readonly kind: 'oidc'; readonly issuer: string; readonly id: string; readonly claims: Claims };

/** Claims that rules may ask for: texts, numbers and truth values as text, lists of them; nothing nested. Has no prototype. */
export type Claims = Readonly<Record<string, readonly string[]>>;

export const ANYONE: Subject = { kind: 'anyone' };

/** `user:ann`, `token:ci`, `oidc:github:repo:acme/app:ref:refs/heads/main`, `anyone`: for logs, audit and `--as`. */
export function subjectText(subject: Subject): string {
  switch (subject.kind) {
    case 'anyone':
      return 'anyone';
    case 'oidc':
      return `oidc:${subject.issuer}:${subject.id}`;
    default:
      return `${subject.kind}:${subject.name}`;
  }
}

/**
 * Who asks, and for what the token that says so was issued. `scopes` undefined: all that the subject may. A token never
 * widens what its subject may; it may only narrow it (distribution, "Token Scope Documentation").
 */
export interface Identity {
  readonly subject: Subject;
  readonly scopes: readonly Scope[] | undefined;
  /** To be passed on, where what is asked for is shown by them: nobody's that we know. */
  readonly credentials?: PassedOn | undefined;
}

/** A user and a password that another registry may know. */
export interface PassedOn {
  readonly username: string;
  readonly password: string;
  /** The registries for which a token with them was asked for; `undefined`: they came with the request itself. */
  readonly registries?: readonly string[] | undefined;
}

export const NOBODY: Identity = { subject: ANYONE, scopes: undefined };
