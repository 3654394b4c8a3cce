import type { TagRecord } from '../metadata/records.ts';
import { NEGATIVE_STATUS, type Source } from './cache-status.ts';
import { askChain, CHAIN_DEADLINE_MS, type ChainResult, type Refusal } from './chain.ts';
import { Collapse } from './collapse.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { ageMs, ttlSeconds } from './freshness.ts';
import { lookupManifest, lookupTag } from './lookup.ts';
import {
  absenceKey,
  fetchAndKeep,
  moveTag,
  readHeld,
  type ManifestAnswer,
  type ManifestRefusal,
  type Manifests,
} from './manifest.ts';
import type { UpstreamFound } from '../upstream/upstream.ts';

/** With something stale at hand nobody waits long for a chain that does not answer. */
const STALE_DEADLINE_MS = 4_500;

type Answer = ManifestAnswer | ManifestRefusal;
type Heads = Collapse<ChainResult<UpstreamFound>>;

/** Manifests by tag: the one question whose answer may change. */
export class Tags {
  readonly #deps: PullDeps;
  readonly #fetches: Manifests;
  readonly #heads: Heads = new Collapse();

  constructor(deps: PullDeps, fetches: Manifests) {
    this.#deps = deps;
    this.#fetches = fetches;
  }

  async pull(pulling: Pulling, tag: string): Promise<Answer> {
    const found = await lookupTag(this.#deps, pulling.holder, tag, pulling.route.policy);
    if (found === undefined) return this.#miss(pulling, tag);
    const { record, freshness, stale } = found;
    pulling.trace.ageSeconds = Math.round(ageMs(record, this.#deps.clock.now()) / 1000);
    if (freshness === 'fresh' || freshness === 'backoff') {
      const held = await this.#held(pulling, record);
      if (held === undefined) return this.#miss(pulling, tag);
      return { ...held, source: freshness === 'fresh' ? this.#fresh(pulling, record) : this.#stale(pulling, record) };
    }
    return this.#check(pulling, tag, record, stale);
  }

  /** Asks for the tag although it is fresh (`entrepot refresh`). */
  async refresh(pulling: Pulling, tag: string): Promise<Answer> {
    const record = await this.#deps.records.tag(pulling.holder, tag);
    this.#deps.absences.forget(absenceKey(pulling, tag));
    return record === undefined ? this.#miss(pulling, tag) : this.#check(pulling, tag, record, false);
  }

  /** Nothing is known of the tag, or what it points to is not here. */
  async #miss(pulling: Pulling, tag: string): Promise<Answer> {
    const absence = this.#deps.absences.get(absenceKey(pulling, tag));
    if (absence !== undefined) return { kind: 'refused', refusal: absence, cacheStatus: NEGATIVE_STATUS };
    if (pulling.method === 'GET') return fetchAndKeep(this.#deps, this.#fetches, pulling, { kind: 'tag', tag });
    // A HEAD upstream is enough for a HEAD here, and costs nothing of Docker Hub's budget.
    const head = await this.#head(pulling, tag, CHAIN_DEADLINE_MS);
    if (head.kind !== 'found') {
      if (head.kind === 'absent')
        this.#deps.absences.remember(absenceKey(pulling, tag), head, pulling.route.policy.negativeTtlMs);
      return { kind: 'refused', refusal: head };
    }
    return (await this.#peek(pulling, tag, head)) ?? fetchAndKeep(this.#deps, this.#fetches, pulling, { kind: 'tag', tag });
  }

  /** Answers a HEAD from an upstream's HEAD, where that said everything a client needs. */
  async #peek(
    pulling: Pulling,
    tag: string,
    head: Extract<ChainResult<UpstreamFound>, { kind: 'found' }>,
  ): Promise<ManifestAnswer | undefined> {
    const { digest, mediaType, size } = head.value;
    if (digest === undefined || mediaType === undefined || size === undefined) return undefined;
    const upstream = head.upstream.name;
    const stored = await this.#tryMove(pulling.holder, tag, { digest, mediaType, size, upstream });
    return { kind: 'manifest', digest, mediaType, size, bytes: undefined, source: { outcome: 'miss', upstream, stored } };
  }

  async #check(pulling: Pulling, tag: string, record: TagRecord, stale: boolean): Promise<Answer> {
    const deadlineMs = stale ? STALE_DEADLINE_MS : CHAIN_DEADLINE_MS;
    const head = await this.#head(pulling, tag, deadlineMs);
    if (head.kind !== 'found') return this.#failed(pulling, tag, record, stale, head);
    const { digest, mediaType, size } = head.value;
    const upstream = head.upstream.name;
    const source: Source = { outcome: 'revalidated', upstream };
    if (digest !== undefined && digest === record.digest) {
      const { mediaType: type, size: length } = record;
      await this.#tryMove(pulling.holder, tag, { digest, mediaType: type, size: length, upstream });
      const held = await this.#held(pulling, record);
      if (held !== undefined) return { ...held, source };
    } else if (digest !== undefined && mediaType !== undefined && size !== undefined && pulling.method === 'HEAD') {
      await this.#tryMove(pulling.holder, tag, { digest, mediaType, size, upstream });
      return { kind: 'manifest', digest, mediaType, size, bytes: undefined, source };
    }
    const fetched = await this.#fetchMoved(pulling, tag, digest, upstream);
    if (fetched.kind === 'manifest')
      return { ...fetched, source: fetched.source.outcome === 'bypass' ? fetched.source : source };
    return this.#failed(pulling, tag, record, stale, fetched.refusal);
  }

  /** The tag points elsewhere now: to what is here already, or to what has to be fetched. */
  async #fetchMoved(pulling: Pulling, tag: string, digest: TagRecord['digest'] | undefined, upstream: string): Promise<Answer> {
    const link = digest === undefined ? undefined : await lookupManifest(this.#deps, pulling.holder, digest);
    const held = digest === undefined ? undefined : await readHeld(this.#deps, pulling, digest, link);
    if (held === undefined) return fetchAndKeep(this.#deps, this.#fetches, pulling, { kind: 'tag', tag });
    const { mediaType, size } = held;
    await this.#tryMove(pulling.holder, tag, { digest: held.digest, mediaType, size, upstream });
    return { ...held, source: { outcome: 'revalidated', upstream } };
  }

  /** The chain could not confirm: stale where that is allowed, and no second question for a while. */
  async #failed(pulling: Pulling, tag: string, record: TagRecord, stale: boolean, refusal: Refusal): Promise<Answer> {
    const now = this.#deps.clock.now();
    const gone = refusal.kind === 'absent';
    if (refusal.kind === 'denied' || (!stale && !gone)) return { kind: 'refused', refusal };
    const marked: TagRecord = gone ? { ...record, gone: now } : { ...record, failed: now };
    await this.#deps.records.putTag(pulling.holder, tag, marked);
    const held = await this.#held(pulling, marked);
    return held === undefined ? { kind: 'refused', refusal } : { ...held, source: this.#stale(pulling, marked) };
  }

  /** HEAD is answered from the record alone; GET needs the bytes. */
  async #held(pulling: Pulling, { digest, mediaType, size }: TagRecord): Promise<Omit<ManifestAnswer, 'source'> | undefined> {
    if (pulling.method === 'HEAD') return { kind: 'manifest', digest, mediaType, size, bytes: undefined };
    return readHeld(this.#deps, pulling, digest, { digest, mediaType, size });
  }

  async #head(pulling: Pulling, tag: string, deadlineMs: number): Promise<ChainResult<UpstreamFound>> {
    const { route, registry, repository, trace } = pulling;
    const { value } = await this.#heads.ask(`${absenceKey(pulling, tag)} ${deadlineMs}`, () =>
      askChain(
        this.#deps.clock,
        {
          chain: route.chain,
          request: { kind: 'manifest', method: 'HEAD', registry, repository, reference: tag },
          signal: new AbortController().signal,
          deadlineMs,
          trace,
        },
        async (answer) => {
          answer.body?.close();
          return answer;
        },
      ),
    );
    return value;
  }

  async #tryMove(
    holder: string,
    tag: string,
    now: Pick<TagRecord, 'digest' | 'mediaType' | 'size' | 'upstream'>,
  ): Promise<boolean> {
    try {
      await moveTag(this.#deps, holder, tag, now);
      return true;
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error });
      return false;
    }
  }

  #fresh({ route }: Pulling, record: TagRecord): Source {
    if (record.gone !== undefined) return this.#staleSource(route.policy, record);
    return { outcome: 'hit', ttlSeconds: ttlSeconds(record, route.policy, this.#deps.clock.now()) };
  }

  #stale({ route }: Pulling, record: TagRecord): Source {
    return this.#staleSource(route.policy, record);
  }

  #staleSource(policy: Pulling['route']['policy'], record: TagRecord): Source {
    const why = record.gone === undefined ? 'stale: no upstream could be asked' : 'the tag is gone upstream';
    return { outcome: 'stale', ttlSeconds: ttlSeconds(record, policy, this.#deps.clock.now()), why };
  }
}
