import type { LinkRecord, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { askChain, CHAIN_DEADLINE_MS } from './chain.ts';
import { Collapse } from './collapse.ts';
import { neededFor } from './granting.ts';
import type { Refusal, Tried } from './refusal.ts';
import { keyOf, type Route } from './route.ts';
import { noteTried, type Trace } from './trace.ts';
import type { Unowned } from './unowned.ts';

/** An upstream's yes for a digest under a repository. */
export interface Proof {
  readonly kind: 'proven';
  readonly upstream: string;
  readonly size: number | undefined;
  readonly mediaType: string | undefined;
  /** No credential was needed. */
  readonly anonymous: boolean;
  /** Asked in vain before it. */
  readonly tried: readonly Tried[];
  /** One of those asks us in turn. */
  readonly passedLoop: boolean;
}

export interface ProofAsk {
  readonly kind: 'manifest' | 'blob';
  readonly route: Route;
  readonly registry: string;
  readonly repository: string;
  readonly digest: Digest;
  readonly trace: Trace;
}

/**
 * Asks the chain by HEAD whether this repository holds the digest: what bytes at hand, or a fill that another repository
 * started, need before this one may show them (architecture.md, decision 8; whose yes is enough: `givers.ts`). Equal questions
 * are asked once.
 */
export class Prover {
  readonly #clock: Clock;
  readonly #collapse: Collapse<Proof | Refusal>;

  constructor(clock: Clock, unowned: Unowned) {
    this.#clock = clock;
    this.#collapse = new Collapse(clock, unowned);
  }

  /** `first`: whose yes would be enough, and who is therefore asked before the others where it can be. */
  async prove(ask: ProofAsk, first: ReadonlySet<string> = NOBODY): Promise<Proof | Refusal> {
    const whom = [...first].sort().join(' ');
    const key = `${keyOf(ask.route)} ${ask.kind} ${ask.registry}/${ask.repository}@${ask.digest} ${whom}`;
    const { value } = await this.#collapse.ask(key, (signal) => this.#ask(ask, first, signal), ask.route.via);
    if (value.kind === 'proven') noteTried(ask.trace, value.tried, value.upstream);
    return value;
  }

  async #ask(
    { kind, route, registry, repository, digest }: ProofAsk,
    first: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Proof | Refusal> {
    const comesFirst = (upstream: Upstream): boolean => first.has(upstream.name) && upstream.standing(registry).up;
    const chain = route.order(registry, 'content');
    const request = { kind, method: 'HEAD', registry, repository, reference: digest } as const;
    const ask = {
      chain: [...chain.filter(comesFirst), ...chain.filter((upstream) => !comesFirst(upstream))],
      request,
      signal,
      deadlineMs: CHAIN_DEADLINE_MS,
      hedge: route.policy.hedge,
    };
    const result = await askChain(this.#clock, ask, async (answer) => {
      answer.body?.close();
      return answer;
    });
    if (result.kind !== 'found') return result;
    const { size, mediaType, anonymous } = result.value;
    return {
      kind: 'proven',
      upstream: result.upstream.name,
      size,
      mediaType,
      anonymous,
      tried: result.tried,
      passedLoop: result.passedLoop,
    };
  }
}

const NOBODY: ReadonlySet<string> = new Set();

/** Records what was proven, so that it need not be asked again. `claimed`: as in `LinkRecord`. */
export function linkProven(
  { records, clock }: { readonly records: Records; readonly clock: Clock },
  { holder, route }: { readonly holder: string; readonly route: Route },
  digest: Digest,
  link: Pick<LinkRecord, 'kind' | 'size' | 'mediaType' | 'claimed'>,
  { upstream, anonymous }: Proof,
): Promise<void> {
  return records.putLink(holder, digest, {
    ...link,
    by: 'upstream',
    upstream,
    needed: neededFor(route, anonymous),
    at: clock.now(),
  });
}
