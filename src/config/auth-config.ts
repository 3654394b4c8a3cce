import type { SubjectPattern } from './subject-pattern.ts';

/** Ways to say who one is. */
export interface AuthConfig {
  /** `path` is absolute, and read by whoever asks who somebody is. */
  readonly htpasswd: { readonly realm: string; readonly path: string } | undefined;
  /** Of tokens of our own, ms. */
  readonly lifetime: number;
  readonly token: TokenConfig | undefined;
  readonly oidc: ReadonlyMap<string, OidcConfig>;
}

/** Another token server. At least one of `certificates` (PEM) and `jwks` (JSON) is there. */
export interface TokenConfig {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly certificates: string | undefined;
  readonly jwks: string | undefined;
  readonly algorithms: readonly string[] | undefined;
  /** The realm is there, at the Host that was asked; `undefined`: it is `realm`. */
  readonly redirectPath: string | undefined;
}

export interface OidcConfig {
  readonly issuer: string;
  readonly audience: string;
  /** JSON; `undefined`: the issuer is asked. */
  readonly jwks: string | undefined;
}

export interface AccessConfig {
  /** In order; `undefined`: none are written. */
  readonly rules: readonly AccessRuleConfig[] | undefined;
  readonly groups: ReadonlyMap<string, readonly SubjectPattern[]>;
}

export interface AccessRuleConfig {
  readonly match: readonly string[];
  readonly allow: Readonly<Record<'pull' | 'push' | 'delete', readonly SubjectPattern[]>>;
  /** `config.yml:12`. */
  readonly at: string;
}
