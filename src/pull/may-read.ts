import { createHmac } from 'node:crypto';
import { RegistryError } from '../oci/errors.ts';
import type { Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import type { Random } from '../system/random.ts';
import type { ClientCredentials, UpstreamRequest } from '../upstream/upstream.ts';
import { askChain } from './chain.ts';
import { Collapse } from './collapse.ts';
import { recentOnes } from './recent.ts';
import type { Refusal } from './refusal.ts';
import type { Route } from './route.ts';
import type { Trace } from './trace.ts';
import type { Unowned } from './unowned.ts';
import { carrying } from './via.ts';

/** Who asks, on a route that passes clients' own credentials on. */
export interface Client extends ClientCredentials {
  /** Its address: by which wrong passwords are counted. */
  readonly address: string;
}

/** What a client asks for; `reference` is empty for tags. */
export interface Entrance {
  readonly route: Route;
  readonly registry: string;
  readonly repository: string;
  readonly kind: UpstreamRequest['kind'];
  readonly reference: string;
  /** `undefined`: nobody in particular. */
  readonly client: Client | undefined;
  readonly trace: Trace;
}

/** Says who is guessing; as `auth/attempts.ts` does. Rejects with RegistryError 429. `username` says at which registry. */
export interface Attempts {
  begin(username: string, address: string): Promise<{ end(outcome: 'right' | 'wrong' | 'unknown'): void }>;
}

export interface MayReadDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly records: Pick<Records, 'remembered' | 'remember'>;
  readonly unowned: Unowned;
  readonly attempts: Attempts;
}

/** Clients and repositories that are remembered together. */
const REMEMBERED_MAX = 100_000;
/** What all questions of one proof may take together: the pull that comes after it has its own time. */
const PROOF_MS = 10_000;

/** What an upstream says of somebody and a repository. `public`: to nobody in particular. */
export type Word =
  | { readonly kind: 'readable' | 'public' }
  /** The credentials are wrong: of the repository that says nothing. */
  | { readonly kind: 'wrong' }
  | { readonly kind: 'unreadable' }
  /** Too many of theirs were wrong: nobody was asked. */
  | { readonly kind: 'unheard'; readonly error: RegistryError }
  | { readonly kind: 'trouble'; readonly refusal: Refusal };

/**
 * Who may read which repository, as its upstream says: asked by HEAD of what is wanted, believed for `authttl`, a refusal for
 * `negativettl`. Credentials live in memory alone: a client is known by a keyed hash of them, and whose they were is forgotten with
 * the process. That anybody may read is no secret, and is remembered across restarts.
 */
export class MayRead {
  readonly #deps: MayReadDeps;
  readonly #key: Uint8Array;
  readonly #asks: Collapse<Word>;
  /** Who may read what, and who may not; by client and repository, with the end of it in monotonic ms. */
  readonly #words = recentOnes<{ readonly word: Word; readonly until: number }>(REMEMBERED_MAX);
  /** Clients whose credentials an upstream took, and those whose it did not: by client and registry. One's word is not another's. */
  readonly #accepted = recentOnes<object>(REMEMBERED_MAX);
  readonly #refused = recentOnes<object>(REMEMBERED_MAX);

  constructor(deps: MayReadDeps) {
    this.#deps = deps;
    this.#key = deps.random.bytes(32);
    this.#asks = new Collapse(deps.clock, deps.unowned);
  }

  /** Of a client, and then of anybody: who signs in with what is out of date may still have what is public. */
  async wordFor(entrance: Entrance): Promise<Word> {
    const holder = holderOf(entrance);
    const own = entrance.client === undefined ? undefined : this.nameOf(entrance.client);
    const known = own === undefined ? undefined : this.#recall(`${own} ${holder}`);
    if (known !== undefined && known.kind !== 'wrong' && known.kind !== 'unreadable') return known;
    const before = await this.#publicSince(holder);
    const proofMs = entrance.route.passthrough?.proofMs ?? 0;
    const age = before === undefined ? Infinity : this.#deps.clock.now() - before;
    if (age >= 0 && age < proofMs) return { kind: 'public' };
    const word = own === undefined ? undefined : (known ?? (await this.#ask(entrance, own, holder)));
    if (word?.kind === 'public') return word;
    const anybody = (): Promise<Word> => this.#ask({ ...entrance, client: undefined }, undefined, holder);
    if (word?.kind === 'readable') {
      // Nobody waits for it. What was closed since has to be known before that upstream is down: what they bring now may be newer.
      if (before !== undefined) anybody().catch(() => undefined);
      return word;
    }
    const open = this.#recall(`anybody ${holder}`) ?? (await anybody());
    if (open.kind === 'public') return open;
    const worst = word?.kind === 'trouble' || open.kind !== 'trouble' ? (word ?? open) : open;
    // What once was everybody's is no secret, and an upstream that is down takes nothing back.
    return worst.kind === 'trouble' && before !== undefined ? { kind: 'public' } : worst;
  }

  /** The upstream has refused this client since: it is asked anew. `name`: {@link nameOf}. */
  forget(name: string, entrance: Entrance): void {
    this.#words.delete(`${name} ${holderOf(entrance)}`);
  }

  /** By what a client is known: tells nothing of its credentials. */
  nameOf({ username, password }: Client): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([username, password]))
      .digest('base64url');
  }

  /** Equal questions are asked once. */
  async #ask(entrance: Entrance, own: string | undefined, holder: string): Promise<Word> {
    const key = `${own ?? 'anybody'} ${holder}`;
    const { route, trace } = entrance;
    const prove = async (signal: AbortSignal): Promise<Word> => {
      const word = own === undefined ? await this.#prove(entrance, signal) : await this.#tried(entrance, own, signal);
      if (word.kind === 'trouble' || word.kind === 'unheard') return word;
      if (word.kind === 'public') await this.#note(holder, String(this.#deps.clock.now()));
      else this.#believe(key, word, word.kind === 'readable' ? route.passthrough?.proofMs : route.policy.negativeTtlMs);
      if (own === undefined && word.kind === 'unreadable' && (await this.#publicSince(holder)) !== undefined)
        await this.#note(holder, CLOSED);
      return word;
    };
    const { value } = await this.#asks.ask(key, prove, trace.via);
    return value;
  }

  /**
   * Who was never right there is counted by whoever counts guesses, before the upstream hears of it. Right is whom it showed something
   * for their credentials: where it asked for none, or there is nothing to show, it may never have looked at them.
   */
  async #tried(entrance: Entrance, own: string, signal: AbortSignal): Promise<Word> {
    const { client, registry } = entrance;
    const there = `${own} at ${placeOf(entrance)}`;
    if (client === undefined || this.#accepted.has(there)) return this.#prove(entrance, signal);
    const attempt = await this.#deps.attempts.begin(`${client.username} at ${registry}`, client.address).catch(unheard);
    if ('kind' in attempt) return attempt;
    let outcome: 'right' | 'wrong' | 'unknown' = 'unknown';
    try {
      const word = await this.#prove(entrance, signal);
      if (word.kind === 'readable') {
        outcome = 'right';
        this.#accepted.set(there, SO);
      } else if (word.kind === 'wrong' && !this.#refused.has(there)) {
        // The same again, of whatever repository, is no further guess.
        outcome = 'wrong';
        this.#refused.set(there, SO);
      }
      return word;
    } finally {
      attempt.end(outcome);
    }
  }

  /**
   * By HEAD of the very thing that is asked for; and where that is not there, by the list of tags, since who may read one may
   * read the other (distribution-spec auth/scope.md: both are `pull`).
   */
  async #prove({ route, registry, repository, kind, reference, client, trace }: Entrance, signal: AbortSignal): Promise<Word> {
    const { clock } = this.#deps;
    const started = clock.monotonic();
    const asked = client === undefined ? route : carrying({ ...route, ...asClient(route, client) }, trace.via);
    const chain = asked.order(registry, 'tag');
    const tags = tagsOf({ registry, repository });
    const isList = kind === 'tags' || kind === 'referrers';
    const questions: readonly UpstreamRequest[] = isList
      ? [tags]
      : [{ kind, method: 'HEAD', registry, repository, reference }, tags];
    let last: Refusal = { kind: 'unreachable', timeout: true, tried: [] };
    for (const request of questions) {
      const deadlineMs = PROOF_MS - (clock.monotonic() - started);
      const result = await askChain(clock, { chain, request, signal, deadlineMs, hedge: false }, async (answer) => {
        answer.body?.close();
        return answer.anonymous;
      });
      // With credentials of ours it proves nothing of anybody.
      if (result.kind === 'found')
        return result.value ? { kind: 'public' } : client !== undefined ? { kind: 'readable' } : UNREADABLE;
      if (result.kind === 'denied') return client === undefined ? UNREADABLE : { kind: 'wrong' };
      if (result.kind === 'unreachable') return { kind: 'trouble', refusal: result };
      last = result;
    }
    return last.kind === 'limited' ? { kind: 'trouble', refusal: last } : UNREADABLE;
  }

  #believe(key: string, word: Word, forMs = 0): void {
    this.#words.set(key, { word, until: this.#deps.clock.monotonic() + forMs });
  }

  #recall(key: string): Word | undefined {
    const known = this.#words.get(key);
    return known !== undefined && this.#deps.clock.monotonic() < known.until ? known.word : undefined;
  }

  /** When anybody could last read it, ms since the epoch; `undefined`: never, as far as that is known. */
  async #publicSince(holder: string): Promise<number | undefined> {
    try {
      const at = Number((await this.#deps.records.remembered(MEMORY, `public ${holder}`))?.value);
      return Number.isFinite(at) ? at : undefined;
    } catch {
      return undefined; // It is asked.
    }
  }

  async #note(holder: string, value: string): Promise<void> {
    try {
      await this.#deps.records.remember(MEMORY, `public ${holder}`, { value, until: this.#deps.clock.now() + KEPT_MS });
    } catch {
      // The next one asks again.
    }
  }
}

/** Under which name the metadata remember which repositories anybody may read. */
const MEMORY = 'passthrough';
/** Of one that is not any more. */
const CLOSED = 'closed';
/** How long it is told of, for when nobody can be asked. */
const KEPT_MS = 365 * 24 * 3_600_000;

const UNREADABLE: Word = { kind: 'unreadable' };
const SO = {};

function unheard(error: unknown): Word {
  if (error instanceof RegistryError && error.status === 429) return { kind: 'unheard', error };
  throw error;
}

/** Where it is asked about: what one place said of a name says nothing of another that goes by that name since a reload. */
function placeOf({ registry, route }: Pick<Entrance, 'registry' | 'route'>): string {
  return `${registry} ${route.passthrough?.place ?? ''}`;
}

function holderOf(entrance: Pick<Entrance, 'registry' | 'repository' | 'route'>): string {
  return `${entrance.registry}/${entrance.repository} at ${entrance.route.passthrough?.place ?? ''}`;
}

/** Who may read a repository may list its tags. */
export function tagsOf({ registry, repository }: Pick<UpstreamRequest, 'registry' | 'repository'>): UpstreamRequest {
  return { kind: 'tags', method: 'GET', registry, repository, reference: '', query: { n: '1' } };
}

/** The route's chain, asked as this client. */
export function asClient({ order, passthrough }: Route, client: Client): Pick<Route, 'order'> {
  return { order: passthrough?.as(client) ?? order };
}
