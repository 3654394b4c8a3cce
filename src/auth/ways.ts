import type { Identity, PassedOn, Scope, Subject } from './subject.ts';

/**
 * The ways in which somebody can say who they are; `identify.ts` asks them, `compose/` says which there are. In all of them
 * `undefined` means that it is not so, and a rejection that it could not be found out.
 */

/** A name and a password, however they came: as Basic credentials, or to the token endpoint. */
export interface Passwords {
  /**
   * Whose they are. As long as a wrong guess takes, whether or not there is such a user. Rejects with RegistryError 429 where
   * this client, or somebody for this user, has been wrong too often to be heard now. `client` is an address.
   */
  verify(username: string, password: string, client: string): Promise<Subject | undefined>;
  /**
   * As {@link Passwords.verify}, where they may be meant for another registry: wrong ones hold up nobody who signs in. Who is not
   * heard may be right: to be told from who is wrong.
   */
  recognize(username: string, password: string, client: string): Promise<Subject | undefined>;
  /** Whether who once proved to be that user still is: neither gone nor with another password, as their file now is. */
  stands(username: string, fingerprint: string): Promise<boolean>;
  /** Changes with the user's password; `undefined`: no such user. Tells nothing of it. */
  fingerprint(username: string): string | undefined;
}

/** Machine tokens: as a password with any name, or as a bearer token. */
export interface MachineTokens {
  /** Whether a text has the shape of one, so that nothing else need be asked. */
  isOne(text: string): boolean;
  verify(text: string): Promise<Subject | undefined>;
  /** Whether it is neither revoked nor expired. */
  stands(id: string): Promise<boolean>;
}

/** Sign-in tokens of other issuers: as a password, with any name. */
export interface SignInTokens {
  /** Whether one of the configured issuers claims it; its signature is not looked at for that. */
  isOne(text: string): boolean;
  verify(text: string): Promise<Subject | undefined>;
}

/** What a token of our own says, once it is known to be ours, in time, and for this audience. */
export interface Proven {
  readonly identity: Identity;
  /** Of a user: {@link Passwords.fingerprint} when it was issued. */
  readonly fingerprint: string | undefined;
}

/** Tokens that this server, or a node that shares its keys, has issued. */
export interface OwnTokens {
  /** Whether it names one of our keys: then nobody else is asked about it. */
  isOne(token: string): Promise<boolean>;
  verify(token: string, audience: string): Promise<Proven | undefined>;
  issue(what: {
    readonly subject: Subject;
    readonly fingerprint: string | undefined;
    readonly scopes: readonly Scope[];
    readonly audience: string;
    /** Sealed, so that nobody who finds the token can read them. */
    readonly credentials?: PassedOn | undefined;
  }): Promise<IssuedToken>;
}

export interface IssuedToken {
  readonly token: string;
  /** Seconds, at least 60: clients take less for 60. */
  readonly expiresIn: number;
  /** ms since the epoch. */
  readonly issuedAt: number;
}

/** What `docker login` keeps instead of a password; each is good for one subject, and for as long as that stands. */
export interface RefreshTokens {
  isOne(text: string): boolean;
  issue(what: {
    readonly subject: Subject;
    readonly fingerprint: string | undefined;
    readonly audience: string;
  }): Promise<string>;
  verify(text: string, audience: string): Promise<(Omit<Proven, 'identity'> & { readonly subject: Subject }) | undefined>;
}

/** Tokens of `auth.token`: another server issues them, and they say what their bearer may. */
export interface ForeignTokens {
  verify(token: string): Promise<Identity | undefined>;
}
