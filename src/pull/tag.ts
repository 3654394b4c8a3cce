import type { TagRecord } from '../metadata/records.ts';
import { isCertain, type Absence } from './absences.ts';
import { NEGATIVE_STATUS, type Source } from './cache-status.ts';
import { Collapse } from './collapse.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { ageMs, seenAt, ttlSeconds } from './freshness.ts';
import { lookupManifest, lookupTag } from './lookup.ts';
import {
  absenceKey,
  fetchAndKeep,
  moveTag,
  readHeld,
  type HeldManifest,
  type ManifestAnswer,
  type ManifestRefusal,
  type Manifests,
  type Said,
} from './manifest.ts';
import { Peeks, type Peek } from './peeks.ts';
import type { Refusal } from './refusal.ts';
import { noteTried } from './trace.ts';
import { within } from './within.ts';

/** With something stale at hand nobody waits longer for a chain that does not answer. */
const STALE_WAIT_MS = 4_500;

/** Why what is stale was not asked about, as its `Warning` says it. */
const UNREACHABLE = 'stale: no upstream could be asked';
const SPARED = 'stale: what is left of the rate limit is kept for what is not cached';

type Answer = ManifestAnswer | ManifestRefusal;

/** Manifests by tag: the one question whose answer may change. */
export class Tags {
  readonly #deps: PullDeps;
  readonly #fetches: Manifests;
  readonly #checks: Collapse<Answer>;
  readonly #peeks: Peeks;

  constructor(deps: PullDeps, fetches: Manifests) {
    this.#deps = deps;
    this.#fetches = fetches;
    this.#peeks = new Peeks(deps);
    this.#checks = new Collapse(deps.clock, deps.unowned);
  }

  async pull(pulling: Pulling, tag: string): Promise<Answer> {
    const found = await lookupTag(this.#deps, pulling, tag);
    if (found === undefined) return this.#miss(pulling, tag);
    const { record, freshness, stale } = found;
    pulling.trace.ageSeconds = Math.round(ageMs(record, this.#deps.clock.now()) / 1000);
    const isSpared = freshness === 'check' && pulling.route.policy.limits.isLow(pulling.registry);
    if (freshness !== 'fresh' && freshness !== 'backoff' && !isSpared) return this.#check(pulling, tag, record, stale);
    const held = await this.#held(pulling, record);
    if (held === undefined) return this.#miss(pulling, tag);
    if (freshness === 'fresh') return { ...held, source: this.#fresh(pulling, tag, record) };
    return { ...held, source: this.#stale(pulling, record, isSpared ? SPARED : undefined) };
  }

  /** Asks for the tag although it is fresh (`entrepot refresh`). */
  async refresh(pulling: Pulling, tag: string): Promise<Answer> {
    const record = await this.#deps.records.tag(pulling.holder, tag);
    this.#deps.absences.forget(absenceKey(pulling, 'manifest', tag));
    this.#peeks.forget(pulling, tag);
    return record === undefined ? this.#miss(pulling, tag) : this.#check(pulling, tag, record, false);
  }

  /** What the chain says of the tag, whatever its age here; nothing here changes by it. */
  look(pulling: Pulling, tag: string): Promise<Peek | Refusal> {
    return this.#peeks.ask(pulling, tag);
  }

  /** Nothing is known of the tag, or what it points to is not here. */
  async #miss(pulling: Pulling, tag: string): Promise<Answer> {
    const key = absenceKey(pulling, 'manifest', tag);
    const absence = this.#deps.absences.get(key);
    if (absence !== undefined) return { kind: 'refused', refusal: absence, cacheStatus: NEGATIVE_STATUS };
    if (pulling.method === 'GET' && !(await this.#mayBeHeld(pulling))) return this.#fetch(pulling, tag);
    // A HEAD upstream is enough for a HEAD here, and costs nothing of Docker Hub's budget.
    const head = await this.#peeks.ask(pulling, tag);
    if (head.kind === 'found') return this.#fromPeek(pulling, tag, head) ?? this.#fetchMoved(pulling, tag, head);
    if (head.kind === 'absent') this.#deps.absences.remember(key, head, pulling.route.policy.negativeTtlMs);
    return { kind: 'refused', refusal: head };
  }

  /**
   * Whether a tag that nothing is known of may yet point to what is here: `3.20` and `3.20.1` often are one manifest. Where
   * nobody counts what is asked for, a GET at once is faster.
   */
  async #mayBeHeld({ route, registry, holder }: Pulling): Promise<boolean> {
    if (!route.policy.limits.isCounted(registry)) return false;
    return (await this.#deps.records.tags(holder, undefined, 1)).length > 0;
  }

  /** Answers a HEAD from an upstream's HEAD, where that said everything a client needs. */
  #fromPeek(pulling: Pulling, tag: string, head: Peek): ManifestAnswer | undefined {
    const { digest, mediaType, size, upstream, asked, tried } = head;
    if (pulling.method !== 'HEAD' || digest === undefined || mediaType === undefined || size === undefined) return undefined;
    const leftMs = this.#peeks.remember(pulling, tag, head);
    const source: Source =
      leftMs === undefined
        ? { outcome: 'miss', upstream, stored: false }
        : { outcome: 'hit', ttlSeconds: Math.round(leftMs / 1000) };
    return { kind: 'manifest', digest, mediaType, size, bytes: undefined, source, tried, asked };
  }

  /** Joined by all who ask now. With something stale at hand each waits only so long; the question goes on for the next. */
  async #check(pulling: Pulling, tag: string, record: TagRecord, stale: boolean): Promise<Answer> {
    const key = `${pulling.method} ${absenceKey(pulling, 'manifest', tag)}`;
    const asked = this.#checks.ask(key, () => this.#revalidate(pulling, tag, record), pulling.route.via);
    const checked = stale ? await within(this.#deps.clock, asked, STALE_WAIT_MS) : await asked;
    if (checked?.value.kind === 'manifest') return checked.value;
    const refusal: Refusal = checked?.value.refusal ?? { kind: 'unreachable', timeout: true, tried: [] };
    return this.#failed(pulling, tag, record, stale, refusal);
  }

  async #revalidate(pulling: Pulling, tag: string, record: TagRecord): Promise<Answer> {
    const head = await this.#peeks.ask(pulling, tag);
    if (head.kind !== 'found') return { kind: 'refused', refusal: head };
    const { digest, upstream, needed, asked, tried } = head;
    const source: Source = { outcome: 'revalidated', upstream };
    if (digest === record.digest) {
      const { mediaType, size } = record;
      await this.#tryMove(pulling.holder, tag, { digest, mediaType, size, upstream, needed, asked });
      const held = await this.#held(pulling, record);
      if (held !== undefined) return { ...held, source, tried, asked };
    }
    const peeked = this.#fromPeek(pulling, tag, head);
    if (peeked !== undefined) return { ...peeked, source };
    const fetched = await this.#fetchMoved(pulling, tag, head);
    if (fetched.kind === 'refused' || fetched.source.outcome === 'bypass') return fetched;
    return { ...fetched, source, tried: [...tried, ...(fetched.tried ?? [])] };
  }

  /** The tag points elsewhere now: to what is here already, or to what has to be fetched. */
  async #fetchMoved(pulling: Pulling, tag: string, { digest, upstream, needed, asked }: Peek): Promise<Answer> {
    const link = digest === undefined ? undefined : await lookupManifest(this.#deps, pulling, digest);
    const held = link === undefined ? undefined : await readHeld(this.#deps, pulling, link.digest, link);
    if (held === undefined) return this.#fetch(pulling, tag);
    const { mediaType, size } = held;
    await this.#tryMove(pulling.holder, tag, { digest: held.digest, mediaType, size, upstream, needed, asked });
    return { ...held, source: { outcome: 'revalidated', upstream }, asked };
  }

  #fetch(pulling: Pulling, tag: string): Promise<Answer> {
    this.#peeks.forget(pulling, tag);
    return fetchAndKeep(this.#deps, this.#fetches, pulling, { kind: 'tag', tag });
  }

  /** The chain could not confirm: stale where that is allowed, and no second question for a while. */
  async #failed(pulling: Pulling, tag: string, record: TagRecord, stale: boolean, refusal: Refusal): Promise<Answer> {
    const gone = refusal.kind === 'absent';
    if (gone && pulling.route.policy.onDelete === 'drop' && isCertain(refusal))
      return this.#drop(pulling, tag, record, refusal);
    if (refusal.kind === 'denied' || (!stale && !gone)) return { kind: 'refused', refusal };
    const { clock } = this.#deps;
    const mark = gone ? { gone: seenAt(clock, refusal.asked).asked } : { failed: clock.now() };
    const marked = await this.#mark(pulling.holder, tag, record, mark);
    const held = await this.#held(pulling, marked);
    if (held === undefined) return { kind: 'refused', refusal };
    noteTried(pulling.trace, refusal.tried);
    return { ...held, source: this.#stale(pulling, marked) };
  }

  /** The tag goes, and its history says when; what its digests name stays. Not where somebody has found out more meanwhile. */
  async #drop(pulling: Pulling, tag: string, record: TagRecord, absence: Absence): Promise<Answer> {
    const { records, absences, clock, report } = this.#deps;
    const { holder, route } = pulling;
    try {
      const current = await records.tag(holder, tag);
      if (current !== undefined && isNewer(current, record)) return await this.pull(pulling, tag);
      const { digest, upstream } = record;
      await records.noteMove(holder, tag, { ...seenAt(clock, absence.asked), digest, upstream, deleted: true });
      await records.dropTag(holder, tag);
    } catch (error) {
      report({ kind: 'bypass', reason: 'metadata', error }); // It is asked about again, and then forgotten.
    }
    absences.remember(absenceKey(pulling, 'manifest', tag), absence, route.policy.negativeTtlMs);
    return { kind: 'refused', refusal: absence };
  }

  /** Notes the failure, unless somebody has found out more meanwhile. */
  async #mark(
    holder: string,
    tag: string,
    record: TagRecord,
    mark: Required<Pick<TagRecord, 'gone'>> | Required<Pick<TagRecord, 'failed'>>,
  ): Promise<TagRecord> {
    const { records, clock, report } = this.#deps;
    try {
      const current = await records.tag(holder, tag);
      if (current !== undefined && isNewer(current, record)) return current;
      const marked: TagRecord = { ...record, ...mark };
      await records.putTag(holder, tag, marked, clock.now());
      return marked;
    } catch (error) {
      report({ kind: 'bypass', reason: 'metadata', error }); // Only the next question comes sooner.
      return 'gone' in mark ? { ...record, ...mark } : record;
    }
  }

  /** HEAD is answered from the record alone; GET needs the bytes. */
  async #held(pulling: Pulling, { digest, mediaType, size }: TagRecord): Promise<HeldManifest | undefined> {
    if (pulling.method === 'HEAD') return { kind: 'manifest', digest, mediaType, size, bytes: undefined };
    return readHeld(this.#deps, pulling, digest, { digest, mediaType, size });
  }

  async #tryMove(holder: string, tag: string, said: Said): Promise<void> {
    try {
      await moveTag(this.#deps, holder, tag, said);
    } catch (error) {
      this.#deps.report({ kind: 'bypass', reason: 'metadata', error });
    }
  }

  #fresh({ route }: Pulling, tag: string, record: TagRecord): Source {
    if (record.gone !== undefined) return this.#staleSource(route.policy, record);
    if (route.policy.immutable(tag)) return { outcome: 'hit' };
    return { outcome: 'hit', ttlSeconds: ttlSeconds(record, route.policy, this.#deps.clock.now()) };
  }

  #stale({ route }: Pulling, record: TagRecord, why?: string): Source {
    return this.#staleSource(route.policy, record, why);
  }

  #staleSource(policy: Pulling['route']['policy'], record: TagRecord, unasked = UNREACHABLE): Source {
    const why = record.gone === undefined ? unasked : 'the tag is gone upstream';
    return { outcome: 'stale', ttlSeconds: ttlSeconds(record, policy, this.#deps.clock.now()), why };
  }
}

/** Somebody has asked since, or seen it move. */
function isNewer(current: TagRecord, than: TagRecord): boolean {
  return current.checked !== than.checked || current.digest !== than.digest;
}
