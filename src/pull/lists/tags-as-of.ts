import { HOSTED, standing, type Records, type TagMove } from '../../metadata/records.ts';
import { shows, type Terms } from '../granting.ts';
import { PAGE_MAX, type Page } from './paging.ts';
import type { HeldTags } from './held-lists.ts';

/** A moment, and what of that moment counts. */
export interface Then {
  readonly at: number;
  readonly cooldownMs: number;
}

/** The tags that stood for something then, by their history, a page of them; `undefined` where there were none at all. */
export async function tagsAsOf(
  records: Records,
  route: Terms,
  holder: string,
  then: Then,
  { n, last }: Page,
): Promise<HeldTags | undefined> {
  const limit = n ?? PAGE_MAX;
  const tags: string[] = [];
  for await (const { tag, moves } of byTag(records, holder, last)) {
    if (!(await stood(records, holder, tag, moves, then)) || !(await isShown(records, route, holder, tag))) continue;
    if (tags.length === limit) return { tags, next: { n: String(limit), last: tags.at(-1) ?? '' } };
    tags.push(tag);
  }
  return tags.length === 0 && last === undefined ? undefined : { tags, next: undefined };
}

/** Of these tags those that a pull would be refused for being too new; one that nobody asked for yet is none of them. */
export async function coolingTags(records: Records, holder: string, then: Then): Promise<ReadonlySet<string>> {
  const cooling = new Set<string>();
  for await (const { tag, moves } of byTag(records, holder, undefined))
    if (moves[0]?.deleted !== true && !(await stood(records, holder, tag, moves, then))) cooling.add(tag);
  return cooling;
}

/** As far as it is still known where the tag came from: its history does not say. */
async function isShown(records: Records, route: Terms, holder: string, tag: string): Promise<boolean> {
  const record = route.policy.open ? await records.tag(holder, tag) : undefined;
  return record === undefined || record.upstream === HOSTED || shows({ records }, route, record.digest, record);
}

async function stood(records: Records, holder: string, tag: string, moves: readonly TagMove[], then: Then): Promise<boolean> {
  const { kind } = standing(moves, then.at, then.cooldownMs, undefined);
  if (kind !== 'cooling') return kind === 'stood';
  return standing(moves, then.at, then.cooldownMs, await records.release(holder, tag)).kind === 'stood';
}

async function* byTag(
  records: Records,
  holder: string,
  after: string | undefined,
): AsyncGenerator<{ readonly tag: string; readonly moves: readonly TagMove[] }> {
  let tag: string | undefined;
  let moves: TagMove[] = [];
  for await (const next of records.moves(holder, after)) {
    if (next.tag !== tag && tag !== undefined) {
      yield { tag, moves };
      moves = [];
    }
    tag = next.tag;
    moves.push(next.move);
  }
  if (tag !== undefined) yield { tag, moves };
}
