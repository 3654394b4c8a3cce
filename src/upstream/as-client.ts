import type { Ask } from './ask.ts';
import { askAs } from './ask-as.ts';
import type { Breaker } from './breaker.ts';
import { createBudgets } from './budget.ts';
import { fingerprint, type Credentials } from './credentials.ts';
import type { Explaining } from './explaining.ts';
import type { UpstreamOptions } from './options.ts';
import { CredentialsRefused } from './refusals.ts';
import type { Shared } from './shared.ts';
import { createSignIn } from './sign-in.ts';
import type { ClientCredentials } from './upstream.ts';
import { createPause } from './with-pause.ts';
import { createProcessMemory } from './with-quota.ts';

/** Clients whose tokens are kept; the one that asked longest ago signs in anew. */
const CLIENTS_MAX = 1000;

/**
 * The same upstream, asked with a client's own credentials: its connections, breaker and slots, but that client's tokens, limits and
 * refusals. They are shown where ours would be, to its own origin and realm (S07), and nothing of them is written down or reported.
 * Credentials that it refuses are an answer, `denied`, and no fault of the upstream.
 */
export function createAsClient(options: UpstreamOptions, shared: Shared): (client: ClientCredentials) => Ask {
  const clients = new Map<string, Ask>();
  return ({ username, password }) => {
    const credentials: Credentials = { kind: 'password', username, password };
    const who = fingerprint(credentials);
    const ask = clients.get(who) ?? askWith(credentials, options, shared);
    clients.delete(who);
    clients.set(who, ask);
    const [oldest] = clients.keys();
    if (clients.size > CLIENTS_MAX && oldest !== undefined) clients.delete(oldest);
    return ask;
  };
}

function askWith(credentials: Credentials, options: UpstreamOptions, shared: Shared): Ask {
  const { name: upstream, url, tokenHosts = [] } = options;
  const { clock, tokens } = shared;
  const face = {
    signIn: createSignIn({
      upstream,
      url,
      credentials: async () => credentials,
      tokenHosts,
      tokens,
      clock,
      report: () => undefined,
    }),
    pause: createPause({ clock, memory: createProcessMemory(), key: 'client' }),
    budget: createBudgets(clock).of(url.host, 'client'),
    isShown: () => false,
  };
  const ask = askAs(
    face,
    { ...options, use: 'quota' },
    { ...shared, explaining: unlessRefused(shared.explaining), breaker: unlessAnswered(shared.breaker) },
  );
  return async (request, signal) => {
    try {
      return await ask(request, signal);
    } catch (error) {
      if (!(error instanceof CredentialsRefused)) throw error;
      // 403 to a secret that has worked speaks of the repository; to any other it may say that it is wrong (GHCR): a guess, till then.
      return error.status === 403 && face.signIn.valid() === true
        ? { kind: 'absent', hint: 'it does not exist there, or is not yours' }
        : { kind: 'denied' };
    }
  };
}

/**
 * An error that is said may be for what this client showed: nobody may have an upstream passed over for all others with a name that its
 * token server stumbles over. Where it errs at everybody, who asks as nobody finds out.
 */
function unlessAnswered(breaker: Breaker): Pick<Breaker, 'enter'> {
  return {
    enter() {
      const attempt = breaker.enter();
      return { ...attempt, failed: (error) => (error.status === undefined ? attempt.failed(error) : attempt.abandoned()) };
    },
  };
}

/** A wrong password is a client's own affair. */
function unlessRefused(explaining: Explaining): Explaining {
  return {
    lastError: explaining.lastError,
    async explain(work, signal) {
      let refused: CredentialsRefused | undefined;
      const value = await explaining.explain(async () => {
        try {
          return await work();
        } catch (error) {
          if (!(error instanceof CredentialsRefused)) throw error;
          refused = error;
          return undefined;
        }
      }, signal);
      if (refused !== undefined) throw refused;
      return value as Awaited<ReturnType<typeof work>>;
    },
  };
}
