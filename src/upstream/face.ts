import type { Budget } from './budget.ts';
import type { SignIn } from './sign-in.ts';
import type { UpstreamStatus } from './upstream.ts';
import type { Pause } from './with-pause.ts';

/** Who asks: with our credentials, or without any. Each has its own limits. */
export interface Face {
  readonly signIn: SignIn;
  readonly pause: Pause;
  readonly budget: Budget;
  /** Whether its budget is the one by which the upstream is known. */
  readonly isShown: () => boolean;
}

export function budgetOf({ pause, budget }: Face): Pick<UpstreamStatus, 'rateLimit' | 'pausedMs'> {
  const pausedMs = pause.leftMs('manifest');
  return { rateLimit: budget.known(), ...(pausedMs > 0 ? { pausedMs } : {}) };
}

/** Pulls that may be asked for: 0 while a 429 is waited out, `undefined` where nothing was published. */
export function leftOf({ pause, budget }: Face): number | undefined {
  return pause.leftMs('manifest') > 0 ? 0 : budget.left();
}
