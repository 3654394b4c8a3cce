import { MOVES_KEPT, standing, standingNow, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { formatInstant } from '../oci/instant.ts';
import type { RouteView } from './image.ts';

/** What was seen of a tag. Times as ISO 8601. */
export interface TagHistory {
  /** The last moves, newest first. */
  readonly moves: readonly MoveView[];
  /** How many more are remembered, and when the oldest of all was. */
  readonly more: number;
  readonly since: string | undefined;
  /** What a person let go before its cooldown was over. */
  readonly released: { readonly digest: Digest; readonly at: string } | undefined;
  /** What a pull is answered with by the history; `undefined` where neither a cooldown nor a date says. */
  readonly answer: HistoryAnswer | undefined;
}

export interface MoveView {
  readonly at: string;
  readonly digest: Digest;
  /** Who said it; `hosted`: it was pushed. */
  readonly upstream: string;
  /** It was deleted then, from this digest. */
  readonly deleted: boolean;
}

export interface HistoryAnswer {
  readonly why: 'asof' | 'cooldown';
  /** `undefined`: it is answered with 404. */
  readonly digest: Digest | undefined;
  /** When something stands for the tag again, where that is known. */
  readonly until: string | undefined;
}

/** Moves that are shown. */
const SHOWN = 8;

/** `undefined` for a digest, which never moves. */
export async function historyOf(
  { records, clock }: { readonly records: Records; readonly clock: { now(): number } },
  holder: string,
  reference: string,
  route: RouteView | undefined,
  asked: number | undefined,
): Promise<TagHistory | undefined> {
  if (reference.includes(':')) return undefined;
  const all = await records.tagHistory(holder, reference, MOVES_KEPT);
  const released = await records.release(holder, reference);
  // What was seen and then fetched is noted twice: it moved once.
  const moves = all.filter(({ digest, deleted }, at) => {
    const before = all[at + 1];
    return before?.digest !== digest || before.deleted !== deleted;
  });
  return {
    moves: moves.slice(0, SHOWN).map(({ at, digest, upstream, deleted }) => ({
      at: formatInstant(at),
      digest,
      upstream,
      deleted: deleted === true,
    })),
    more: Math.max(0, moves.length - SHOWN),
    since: all.length === 0 ? undefined : formatInstant(all.at(-1)?.at ?? 0),
    released: released && { digest: released.digest, at: formatInstant(released.at) },
    answer: answerOf(),
  };

  function answerOf(): HistoryAnswer | undefined {
    const asof = Math.min(asked ?? Infinity, route?.asof ?? Infinity);
    const cooldownMs = route?.cooldownMs ?? 0;
    if (asof === Infinity && cooldownMs === 0) return undefined;
    const found =
      asof === Infinity
        ? standingNow(all, clock.now(), cooldownMs, released)
        : standing(all, asof, cooldownMs, cooldownMs === 0 ? undefined : released);
    return {
      why: asof === Infinity ? 'cooldown' : 'asof',
      digest: found.kind === 'stood' ? found.digest : undefined,
      until: found.kind === 'cooling' && asof === Infinity ? formatInstant(found.until) : undefined,
    };
  }
}
