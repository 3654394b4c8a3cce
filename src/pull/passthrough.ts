import { RegistryError } from '../oci/errors.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { missStatus } from './cache-status.ts';
import { asClient, MayRead, type Client, type Entrance, type MayReadDeps } from './may-read.ts';
import { refusalError, refusedOutcome, type Refused } from './refusal-error.ts';
import type { Route } from './route.ts';
import type { Trace } from './trace.ts';
import { carrying } from './via.ts';

export type { Attempts, Client, Entrance } from './may-read.ts';

/**
 * The door of routes with `passthrough`: before anything is looked up here, that route's upstream has to say that this very client may
 * read the repository, or that anybody may (may-read.ts). What is held, running or was evicted plays no part, so that neither an answer
 * nor its time tells whether something is here (reliability.md, S36).
 */
export class Passthrough {
  readonly #mayRead: MayRead;

  constructor(deps: MayReadDeps) {
    this.#mayRead = new MayRead(deps);
  }

  /**
   * The route as this client may use it. Throws RegistryError: 401 where nobody has said who they are or the credentials are wrong,
   * 404 `NAME_UNKNOWN` where the upstream does not show it, 429 where somebody guesses, 502 or 504 where it cannot be asked.
   */
  async enter(entrance: Entrance): Promise<Route> {
    const { route, registry, repository, client, trace } = entrance;
    if (route.passthrough === undefined) return route;
    const word = await this.#mayRead.wordFor(entrance);
    switch (word.kind) {
      case 'public':
        return route;
      case 'readable':
        if (client === undefined) return route;
        trace.reader = client.username;
        return this.#as(route, `${registry}/${repository}`, client, trace);
      case 'trouble':
        trace.outcome = refusedOutcome(word.refusal);
        throw refusalError(word.refusal, refusedOf(entrance), missStatus(word.refusal.tried.at(-1)?.upstream));
      default:
        trace.outcome = 'denied';
        trace.notLetIn = {
          judge: 'passthrough',
          reason: word.kind === 'wrong' ? 'wrong user or password' : 'not shown to them',
        };
        if (client !== undefined && word.kind === 'unreadable') throw noSuchName(`${registry}/${repository}`);
        throw new RegistryError(
          'UNAUTHORIZED',
          client === undefined ? ASKS_WHO : `${registry} does not know this user and password`,
        );
    }
  }

  /** That upstream, as this client. What it refuses now is not believed any longer. */
  #as(route: Route, holder: string, client: Client, { via }: Trace): Route {
    const own = this.#mayRead.nameOf(client);
    const { order } = asClient(route, client);
    const doubting = (upstream: Upstream): Upstream => ({
      ...upstream,
      ask: async (request, signal) => {
        const answer = await upstream.ask(request, signal);
        const isRefused = answer.kind === 'denied' || (answer.kind === 'absent' && answer.hint !== undefined);
        if (isRefused) this.#mayRead.forget(own, holder);
        return isRefused ? { kind: 'absent', hint: 'it does not exist there, or is not yours' } : answer;
      },
    });
    return carrying({ ...route, asker: own, order: (registry, wanted) => order(registry, wanted).map(doubting) }, via);
  }
}

const ASKS_WHO = 'this repository is shown to those who may read it where it comes from: sign in as you do there';

function refusedOf({ kind, registry, repository, reference }: Entrance): Refused {
  return { kind, registry, repository, reference };
}
