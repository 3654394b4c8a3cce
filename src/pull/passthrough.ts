import { RegistryError } from '../oci/errors.ts';
import { noSuchName } from '../oci/no-such-name.ts';
import type { Upstream, UpstreamAnswer, UpstreamRequest } from '../upstream/upstream.ts';
import { missStatus } from './cache-status.ts';
import { asClient, MayRead, tagsOf, type Client, type Entrance, type MayReadDeps } from './may-read.ts';
import { refusalError, refusedOutcome, type Refused } from './refusal-error.ts';
import type { Route } from './route.ts';
import { carrying } from './via.ts';

export type { Client, Entrance } from './may-read.ts';

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
        return this.#as(entrance, client);
      case 'trouble':
        trace.outcome = refusedOutcome(word.refusal);
        throw refusalError(word.refusal, refusedOf(entrance), missStatus(word.refusal.tried.at(-1)?.upstream));
      case 'unheard':
        trace.outcome = 'denied';
        throw word.error;
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
  #as(entrance: Entrance, client: Client): Route {
    const { route, trace } = entrance;
    const own = this.#mayRead.nameOf(client);
    const { order } = asClient(route, client);
    const doubting = (upstream: Upstream): Upstream => ({
      ...upstream,
      ask: async (request, signal) => {
        const answer = await upstream.ask(request, signal);
        if (answer.kind !== 'denied' && !(await isHidden(upstream, request, answer, signal))) return answer;
        this.#mayRead.forget(own, entrance);
        return { kind: 'absent', hint: 'it does not exist there, or is not yours' };
      },
    });
    return carrying({ ...route, asker: own, order: (registry, wanted) => order(registry, wanted).map(doubting) }, trace.via);
  }
}

/**
 * Whether an absence may be a refusal. To who may not read any more many say 404: believed as it stands, that would have a tag
 * dropped that others may still pull.
 */
async function isHidden(
  upstream: Upstream,
  request: UpstreamRequest,
  answer: UpstreamAnswer,
  signal: AbortSignal,
): Promise<boolean> {
  if (answer.kind !== 'absent') return false;
  if (answer.hint !== undefined || answer.unknownName === true || request.kind === 'tags') return true;
  const isTag = request.kind === 'manifest' && !request.reference.includes(':');
  if (!isTag) return false;
  const tags = await upstream.ask(tagsOf(request), signal);
  if (tags.kind === 'found') tags.body?.close();
  return tags.kind !== 'found';
}

const ASKS_WHO = 'this repository is shown to those who may read it where it comes from: sign in as you do there';

function refusedOf({ kind, registry, repository, reference }: Entrance): Refused {
  return { kind, registry, repository, reference };
}
