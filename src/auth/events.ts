import type { Action } from './access.ts';

/** What this room reports; `compose.ts` turns it into log records and metrics. */
export type AuthEvent = SignInEvent | DeniedEvent;

export type ReportAuth = (event: AuthEvent) => void;

/** Which request it was, and where it came from. */
export interface AskedBy {
  readonly requestId: string;
  /** The client's address. */
  readonly client: string;
}

/** Somebody has said who they are. Never what they said it with. */
export interface SignInEvent extends AskedBy {
  readonly kind: 'sign-in';
  readonly way: 'password' | 'machine-token' | 'sign-in-token' | 'refresh-token' | 'token' | 'certificate';
  /** `limited`: not even heard, after too many that were wrong. */
  readonly result: 'ok' | 'refused' | 'limited';
  /**
   * The name that was said with a password, where there is a user of that name: what is none may be a password that was typed
   * into the wrong field.
   */
  readonly user: string | undefined;
}

/** Somebody may not do what they asked for. */
export interface DeniedEvent extends AskedBy {
  readonly kind: 'denied';
  /** `user:ann`, `anyone`. */
  readonly subject: string;
  /** `registry/repository`; `undefined` for what lists them all. */
  readonly holder: string | undefined;
  /** The tag or digest that was asked for. */
  readonly reference: string | undefined;
  readonly action: Action;
  /** `unauthenticated`: nobody said who they are; `scope`: their token is for something else; `access`: no rule lets them. */
  readonly reason: 'unauthenticated' | 'scope' | 'access';
}
