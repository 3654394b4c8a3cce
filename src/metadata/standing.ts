import type { Digest } from '../oci/digest.ts';
import type { ReleaseRecord, TagMove } from './records.ts';

/** What a tag counted for at a moment, by its history. Times in ms since the epoch. */
export type Standing =
  | { readonly kind: 'stood'; readonly digest: Digest }
  /** All that it pointed to was too new; when the newest is no longer so. */
  | { readonly kind: 'cooling'; readonly until: number }
  | { readonly kind: 'deleted'; readonly since: number }
  /** The history does not reach back so far; when it begins, where there is any. */
  | { readonly kind: 'unknown'; readonly since: number | undefined };

/** One digest and how long a tag pointed to it, however often that was said. */
interface Stay {
  readonly digest: Digest;
  readonly from: number;
}

/**
 * The digest that stood at `at`. With a cooldown the newest one that had stood for so long without a break, or was released by
 * a person: one that was replaced sooner than that never counts, since what is withdrawn within days is just what a cooldown is
 * for. Nothing from before a deletion comes back. `moves`: newest first, as the records yield them.
 */
export function standing(
  moves: readonly TagMove[],
  at: number,
  cooldownMs: number,
  released: ReleaseRecord | undefined,
): Standing {
  const before = moves.filter((move) => move.at <= at).toReversed();
  const newest = before.at(-1);
  if (newest === undefined) return { kind: 'unknown', since: moves.at(-1)?.at };
  if (newest.deleted === true) return { kind: 'deleted', since: newest.at };
  const stays = staysOf(before);
  let until = at;
  for (const { digest, from } of stays.toReversed()) {
    if (until - from >= cooldownMs || (released?.digest === digest && released.at <= at)) return { kind: 'stood', digest };
    until = from;
  }
  return { kind: 'cooling', until: (stays.at(-1)?.from ?? at) + cooldownMs };
}

/** The same now, which is no earlier than the newest move: a clock may have gone back since (reliability.md, R34). */
export function standingNow(
  moves: readonly TagMove[],
  now: number,
  cooldownMs: number,
  released: ReleaseRecord | undefined,
): Standing {
  return standing(moves, Math.max(now, moves[0]?.at ?? now), cooldownMs, released);
}

/** Since the last deletion. `moves`: oldest first. */
function staysOf(moves: readonly TagMove[]): readonly Stay[] {
  const stays: Stay[] = [];
  for (const { at, digest, deleted } of moves.slice(moves.findLastIndex((move) => move.deleted === true) + 1))
    if (deleted !== true && stays.at(-1)?.digest !== digest) stays.push({ digest, from: at });
  return stays;
}
