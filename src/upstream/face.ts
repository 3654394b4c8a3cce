import { createBudgets, type Budget } from './budget.ts';
import type { CredentialsProvider } from './credentials.ts';
import { paysOnly, type UpstreamDeps, type UpstreamOptions } from './options.ts';
import type { Shared } from './shared.ts';
import { createSignIn, type SignIn } from './sign-in.ts';
import type { UpstreamStatus } from './upstream.ts';
import { createPause, type Pause } from './with-pause.ts';
import type { Memory } from './with-quota.ts';

/** Who asks: with our credentials, or without any. Each has its own limits. */
export interface Face {
  readonly signIn: SignIn;
  readonly pause: Pause;
  readonly budget: Budget;
  /** Whether its budget is the one by which the upstream is known. */
  readonly isShown: () => boolean;
}

export interface Faces {
  readonly account: Face;
  /** Ours without credentials: what counts there is where we ask from. */
  readonly address: Face;
  /** The one by which the upstream is known. */
  readonly shown: () => Face;
}

export function createFaces(options: UpstreamOptions, deps: UpstreamDeps, shared: Shared, memory: Memory): Faces {
  const { name, url, credentials, tokenHosts = [] } = options;
  const { clock, report, tokens } = shared;
  const budgets = deps.budgets ?? createBudgets(clock);
  const face = (who: string, provider: CredentialsProvider, isShown: () => boolean): Face => ({
    signIn: createSignIn({ upstream: name, url, credentials: provider, tokenHosts, tokens, clock, report }),
    pause: createPause({ clock, memory, key: `${name} ${who}` }),
    budget: budgets.of(url.host, `${name} ${who}`),
    isShown,
  });
  // An account that is refused pays for nothing any more: then what counts is what the address has left.
  const isPaying = (): boolean => account.signIn.valid() !== false || !paysOnly(options);
  const account = face(
    credentials === undefined ? 'anonymous' : `account ${options.payer ?? ''}`,
    credentials ?? anonymously,
    isPaying,
  );
  const address = face('anonymous', anonymously, () => !isPaying());
  return { account, address, shown: () => (isPaying() ? account : address) };
}

export function budgetOf({ pause, budget }: Face): Pick<UpstreamStatus, 'rateLimit' | 'pausedMs'> {
  const pausedMs = pause.leftMs('manifest');
  return { rateLimit: budget.known(), ...(pausedMs > 0 ? { pausedMs } : {}) };
}

/** Pulls that may be asked for: 0 while a 429 is waited out, `undefined` where nothing was published. */
export function leftOf({ pause, budget }: Face): number | undefined {
  return pause.leftMs('manifest') > 0 ? 0 : budget.left();
}

async function anonymously(): Promise<undefined> {
  return undefined;
}
