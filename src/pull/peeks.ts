import type { Needed } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { askChain, CHAIN_DEADLINE_MS } from './chain.ts';
import { Collapse } from './collapse.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { grants, neededFor } from './granting.ts';
import { absenceKey } from './manifest.ts';
import { recentOnes } from './recent.ts';
import type { Refusal, Tried } from './refusal.ts';

/** HEADs of tags that are remembered at once. */
const PEEKS_MAX = 10_000;

/** What an upstream's HEAD said of a tag: enough for a client's HEAD, and nothing to keep (reliability.md, S13). */
export interface Peek {
  readonly kind: 'found';
  readonly digest: Digest | undefined;
  readonly mediaType: string | undefined;
  readonly size: number | undefined;
  readonly upstream: string;
  readonly needed: Needed;
  /** When it was asked for, on the monotonic clock. */
  readonly asked: number;
  readonly tried: readonly Tried[];
}

interface Remembered {
  readonly peek: Peek;
  /** On the monotonic clock. */
  readonly until: number;
}

/** HEADs of tags, each asked once at a time; in memory and apart from the records, so that what is held stays servable. */
export class Peeks {
  readonly #deps: Pick<PullDeps, 'clock'>;
  readonly #asking: Collapse<Peek | Refusal>;
  readonly #remembered = recentOnes<Remembered>(PEEKS_MAX);

  constructor(deps: Pick<PullDeps, 'clock' | 'unowned'>) {
    this.#deps = deps;
    this.#asking = new Collapse(deps.clock, deps.unowned);
  }

  /** What the chain says of the tag now, or said within its ttl. */
  async ask(pulling: Pulling, tag: string): Promise<Peek | Refusal> {
    const key = absenceKey(pulling, 'manifest', tag);
    const remembered = this.#at(key);
    // The route may be another one by now, under the same name.
    if (remembered !== undefined && grants(pulling.route, remembered.peek) === true) return remembered.peek;
    return (await this.#asking.ask(key, (signal) => this.#askChain(pulling, tag, signal), pulling.route.via)).value;
  }

  /** For its ttl, counted from the question. Yields how much of that is left, ms; `undefined`: this is the first. */
  remember(pulling: Pulling, tag: string, peek: Peek): number | undefined {
    const key = absenceKey(pulling, 'manifest', tag);
    const now = this.#deps.clock.monotonic();
    const remembered = this.#at(key);
    if (remembered !== undefined) return remembered.until - now;
    this.#remembered.set(key, { peek: { ...peek, tried: [] }, until: peek.asked + pulling.route.policy.tagTtlMs });
    return undefined;
  }

  forget(pulling: Pulling, tag: string): void {
    this.#remembered.delete(absenceKey(pulling, 'manifest', tag));
  }

  async #askChain({ route, registry, repository }: Pulling, tag: string, signal: AbortSignal): Promise<Peek | Refusal> {
    const asked = {
      chain: route.order(registry, 'tag'),
      request: { kind: 'manifest', method: 'HEAD', registry, repository, reference: tag } as const,
      signal,
      deadlineMs: CHAIN_DEADLINE_MS,
      hedge: route.policy.hedgeTags,
    };
    const result = await askChain(this.#deps.clock, asked, async (answer) => {
      answer.body?.close();
      return answer;
    });
    if (result.kind !== 'found') return result;
    const { digest, mediaType, size, anonymous } = result.value;
    const needed = neededFor(route, anonymous);
    const { upstream, tried, asked: at } = result;
    return { kind: 'found', digest, mediaType, size, upstream: upstream.name, needed, asked: at, tried };
  }

  #at(key: string): Remembered | undefined {
    const entry = this.#remembered.get(key);
    if (entry === undefined || this.#deps.clock.monotonic() < entry.until) return entry;
    this.#remembered.delete(key);
    return undefined;
  }
}
