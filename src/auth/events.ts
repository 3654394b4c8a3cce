import type { Action } from './access.ts';

/** What this room reports; `compose.ts` turns it into log records and metrics. */
export type AuthEvent = SignInEvent | DeniedEvent;

export type ReportAuth = (event: AuthEvent) => void;

/** Somebody has said who they are. Never what they said it with. */
export interface SignInEvent {
  readonly kind: 'sign-in';
  readonly way: 'password' | 'machine-token' | 'sign-in-token' | 'refresh-token' | 'token' | 'certificate';
  /** `limited`: not even heard, after too many that were wrong. */
  readonly result: 'ok' | 'refused' | 'limited';
}

/** Somebody may not do what they asked for. */
export interface DeniedEvent {
  readonly kind: 'denied';
  readonly action: Action;
  /** `unauthenticated`: nobody said who they are; `scope`: their token is for something else; `access`: no rule lets them. */
  readonly reason: 'unauthenticated' | 'scope' | 'access';
}
