import { MOVES_KEPT, standing, standingNow, type Standing } from '../metadata/records.ts';
import { RegistryError } from '../oci/errors.ts';
import { formatInstant } from '../oci/instant.ts';
import type { Reference } from '../oci/reference.ts';
import { AS_OF_STATUS, COOLDOWN_STATUS, type Past } from './cache-status.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { seenAt } from './freshness.ts';
import { answersHere } from './hosted.ts';
import { moveTag, type ManifestAnswer, type ManifestRefusal } from './manifest.ts';
import { NOT_HELD } from './offline.ts';
import type { Tags } from './tag.ts';
import { readOr } from './trouble.ts';

/** What a client is answered with instead of what it named. */
export interface Meant {
  readonly kind: 'meant';
  readonly reference: Reference;
  /** Why that is not what the tag points to now. */
  readonly past?: Past;
  /** What the tag points to now, as far as that was asked. */
  readonly now?: ManifestAnswer;
}

/**
 * Which digest a tag stands for where the route has a `cooldown`, or tags are asked for as of a moment: by the tag's history
 * (`metadata/standing.ts`), which begins with the first question. A digest is a digest at all times, and so is a tag that belongs to one
 * (`sha256-….sig`). Nobody can tell without the history, so that trouble with the metadata is a 503 here and no way past it.
 */
export class Meanings {
  readonly #deps: PullDeps;
  readonly #tags: Tags;

  constructor(deps: PullDeps, tags: Tags) {
    this.#deps = deps;
    this.#tags = tags;
  }

  /** Throws RegistryError: 404 with `detail.asof` or `detail.cooldown` where the tag stands for nothing, 503 for trouble. */
  async of(pulling: Pulling, reference: Reference): Promise<Meant | ManifestRefusal> {
    const { asof } = pulling;
    if (reference.kind === 'digest' || belongsToDigest(reference.tag)) return { kind: 'meant', reference };
    if (asof === undefined && pulling.route.policy.cooldownMs === 0) return { kind: 'meant', reference };
    return readOr(
      this.#deps.report,
      async () => {
        // What was pushed here is nobody else's word: only a date makes a difference to it.
        const isOurs = pulling.route.hosted && (await answersHere(this.#deps, pulling));
        if (asof !== undefined) return this.#asOf(pulling, reference.tag, asof, isOurs);
        return isOurs ? { kind: 'meant', reference } : this.#cooled(pulling, reference.tag);
      },
      (reason, cause) => {
        const message = `the ${reason} of this mirror cannot be asked now, and nothing else tells what the tag ${reference.tag} stood for`;
        return new RegistryError('UNAVAILABLE', message, { status: 503, headers: { 'retry-after': '5' }, cause });
      },
    );
  }

  /** Asks where the tag points to, although nobody pulls it, and notes where it moved. */
  async watch(pulling: Pulling, tag: string): Promise<void> {
    const found = await this.#tags.look(pulling, tag);
    if (found.kind !== 'found' || found.digest === undefined) return;
    const { digest, upstream, asked } = found;
    await this.#deps.records.noteMove(pulling.holder, tag, { ...seenAt(this.#deps.clock, asked), digest, upstream });
  }

  /** The answer as the client is told of it. Of a tag that nothing was held of, it is from now on. */
  async answered(pulling: Pulling, tag: string, { now, past }: Meant, answer: ManifestAnswer): Promise<ManifestAnswer> {
    if (past !== undefined) return { ...answer, source: { ...answer.source, past } };
    if (now === undefined) return answer;
    await this.#hold(pulling, tag, now, answer);
    return answer.source.outcome === 'hit' ? { ...answer, source: now.source } : answer;
  }

  async #hold(pulling: Pulling, tag: string, now: ManifestAnswer, { digest, mediaType, size }: ManifestAnswer): Promise<void> {
    const { asked, source } = now;
    if (!('upstream' in source) || asked === undefined) return;
    const { records, report } = this.#deps;
    try {
      if ((await records.tag(pulling.holder, tag))?.digest === digest) return;
      await moveTag(this.#deps, pulling.holder, tag, { digest, mediaType, size, upstream: source.upstream, asked });
    } catch (error) {
      report({ kind: 'bypass', reason: 'metadata', error }); // It is asked about again.
    }
  }

  /** Never asks, but where nothing at all is known of the tag: so that from now on something is. */
  async #asOf(pulling: Pulling, tag: string, asof: number, isOurs: boolean): Promise<Meant | ManifestRefusal> {
    const now = this.#deps.clock.now();
    if (asof > now) throw toCome(pulling, tag, asof);
    const found = await this.#standing(pulling, tag, asof, isOurs ? 0 : pulling.route.policy.cooldownMs);
    if (found.kind === 'stood') return { kind: 'meant', reference: { kind: 'digest', digest: found.digest }, past: 'asof' };
    if (found.kind !== 'unknown' || found.since !== undefined || isOurs || pulling.route.policy.offline)
      throw unknownAsOf(pulling, tag, asof, found);
    const looked = await this.#look(pulling, tag);
    if (looked.kind === 'refused') return looked;
    throw unknownAsOf(pulling, tag, asof, await this.#standing(pulling, tag, asof, 0));
  }

  async #cooled(pulling: Pulling, tag: string): Promise<Meant | ManifestRefusal> {
    const { offline, cooldownMs } = pulling.route.policy;
    const looked = offline ? NOT_HELD : await this.#look(pulling, tag);
    // Who says that there is no such tag, or that we may not have it, is believed at once.
    if (looked.kind === 'refused' && (looked.refusal.kind === 'absent' || looked.refusal.kind === 'denied')) return looked;
    let found = await this.#standing(pulling, tag, undefined, cooldownMs);
    if (looked.kind === 'manifest' && found.kind !== 'stood' && found.kind !== 'cooling') {
      await this.#note(pulling, tag, looked);
      found = await this.#standing(pulling, tag, undefined, cooldownMs);
    }
    if (found.kind === 'cooling') throw cooling(pulling, tag, found.until);
    if (found.kind !== 'stood') return looked.kind === 'refused' ? looked : NOT_HELD;
    const reference = { kind: 'digest', digest: found.digest } as const;
    const isNow = looked.kind === 'manifest' && looked.digest === found.digest;
    return isNow ? { kind: 'meant', reference, now: looked } : { kind: 'meant', reference, past: 'cooldown' };
  }

  /** What the tag points to now, by HEAD; an upstream's word is noted, though the tag stays where it is until bytes are here. */
  async #look(pulling: Pulling, tag: string): Promise<ManifestAnswer | ManifestRefusal> {
    const answer = await this.#tags.pull({ ...pulling, method: 'HEAD' }, tag);
    const isNews = answer.kind === 'manifest' && answer.source.outcome !== 'hit' && answer.source.outcome !== 'stale';
    if (isNews) await this.#note(pulling, tag, answer);
    return answer;
  }

  async #note({ holder, route }: Pulling, tag: string, { digest, source, asked }: ManifestAnswer): Promise<void> {
    const upstream = 'upstream' in source ? source.upstream : route.name;
    await this.#deps.records.noteMove(holder, tag, { ...seenAt(this.#deps.clock, asked), digest, upstream });
  }

  /** `at` undefined: now. */
  async #standing({ holder }: Pulling, tag: string, at: number | undefined, cooldownMs: number): Promise<Standing> {
    const { records, clock } = this.#deps;
    const released = cooldownMs === 0 ? undefined : await records.release(holder, tag);
    const moves = await records.tagHistory(holder, tag, MOVES_KEPT);
    return at === undefined ? standingNow(moves, clock.now(), cooldownMs, released) : standing(moves, at, cooldownMs, released);
  }
}

/** Nobody gets past the moment that a route is pinned to, and everybody may ask for an earlier one. */
export function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}

/** Signatures and the like lie under tags that name what they belong to (OCI distribution-spec, "Referrers Tag Schema"). */
function belongsToDigest(tag: string): boolean {
  return /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128})(?:\.|$)/.test(tag);
}

function unknownAsOf(pulling: Pulling, tag: string, asof: number, found: Standing): RegistryError {
  const image = `${pulling.holder}:${tag}`;
  const then = formatInstant(asof);
  const why = whyUnknown(found);
  pulling.trace.outcome = 'negative';
  return new RegistryError('MANIFEST_UNKNOWN', `manifest ${image} is not there as of ${then}: ${why.text}`, {
    detail: { asof: { at: then, ...why.detail } },
    headers: { 'cache-status': AS_OF_STATUS },
  });
}

/** What is yet to come would be another answer every time. */
function toCome(pulling: Pulling, tag: string, asof: number): RegistryError {
  pulling.trace.outcome = 'negative';
  const then = formatInstant(asof);
  return new RegistryError('MANIFEST_UNKNOWN', `manifest ${pulling.holder}:${tag}: nobody knows it as of ${then} yet`, {
    detail: { asof: { at: then } },
    headers: { 'cache-status': AS_OF_STATUS },
  });
}

function whyUnknown(found: Standing): { readonly text: string; readonly detail: Readonly<Record<string, string>> } {
  if (found.kind === 'deleted') {
    const deleted = formatInstant(found.since);
    return { text: `the tag had been deleted at ${deleted}`, detail: { deleted } };
  }
  if (found.kind === 'cooling') {
    const until = formatInstant(found.until);
    return { text: `all that it had pointed to was too new for its cooldown until ${until}`, detail: { until } };
  }
  if (found.kind === 'stood' || found.since === undefined)
    return { text: 'nothing is known of the history of this tag yet', detail: {} };
  const since = formatInstant(found.since);
  return { text: `its history is known since ${since}`, detail: { since } };
}

function cooling(pulling: Pulling, tag: string, until: number): RegistryError {
  const end = formatInstant(until);
  pulling.trace.outcome = 'negative';
  const message = `manifest ${pulling.holder}:${tag} is too new for the cooldown of the route ${pulling.route.name}, which ends at ${end}: pull it by digest, or run entrepot release`;
  return new RegistryError('MANIFEST_UNKNOWN', message, {
    detail: { cooldown: { until: end } },
    headers: { 'cache-status': COOLDOWN_STATUS },
  });
}
