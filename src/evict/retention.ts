import { allHostedTags, type Records, type TagRecord } from '../metadata/records.ts';

/** What becomes of the tags that a line matches. Times in ms. */
export type RetentionRule =
  | { readonly kind: 'forever' }
  /** Goes when it was neither pulled nor pushed for so long. */
  | { readonly kind: 'unpulled'; readonly ms: number }
  /** All but so many of those that this line decides, by when they were pushed last. */
  | { readonly kind: 'newest'; readonly count: number };

export interface RetentionLine {
  readonly matches: (tag: string) => boolean;
  readonly rule: RetentionRule;
}

export interface ExpiredTag {
  readonly tag: string;
  /** As it was read: only so it may go. */
  readonly record: TagRecord;
  readonly why: string;
}

type RetentionRecords = Pick<Records, 'hostedTags' | 'owner' | 'tagPulls'>;

/**
 * Tags of a repository that its lines give up, in no order: of each tag the first line that matches it decides, and one that
 * none matches stays. Immutable tags are no exception: they cannot move, but can be deleted.
 */
export async function expiredTags(
  records: RetentionRecords,
  repository: string,
  lines: readonly RetentionLine[],
  now: number,
): Promise<readonly ExpiredTag[]> {
  if (lines.length === 0) return [];
  const decided = await decide(records, repository, lines);
  const expired: ExpiredTag[] = [];
  for (const [{ rule }, tags] of decided) {
    if (rule.kind === 'newest') expired.push(...beyond(tags, rule.count));
    if (rule.kind === 'unpulled') expired.push(...(await unpulled(records, repository, tags, now - rule.ms)));
  }
  return expired;
}

interface HostedTag {
  readonly tag: string;
  readonly record: TagRecord;
}

async function decide(
  records: RetentionRecords,
  repository: string,
  lines: readonly RetentionLine[],
): Promise<ReadonlyMap<RetentionLine, readonly HostedTag[]>> {
  const decided = new Map(lines.map((line) => [line, [] as HostedTag[]]));
  for await (const one of allHostedTags(records, repository)) {
    const line = lines.find(({ matches }) => matches(one.tag));
    if (line !== undefined) decided.get(line)?.push(one);
  }
  return decided;
}

function beyond(tags: readonly HostedTag[], count: number): readonly ExpiredTag[] {
  const newestFirst = [...tags].sort((a, b) => b.record.checked - a.record.checked || (a.tag < b.tag ? 1 : -1));
  return newestFirst.slice(count).map((one) => ({ ...one, why: `is not among the newest ${count}` }));
}

async function unpulled(
  records: RetentionRecords,
  repository: string,
  tags: readonly HostedTag[],
  before: number,
): Promise<readonly ExpiredTag[]> {
  const expired: ExpiredTag[] = [];
  const known = await knownSince(records, repository);
  for (const one of tags) {
    const pulled = (await records.tagPulls(repository, one.tag))?.last ?? 0;
    const last = Math.max(pulled, one.record.checked, known);
    if (last <= before) expired.push({ ...one, why: `was last used ${new Date(last).toISOString()}` });
  }
  return expired;
}

/** Of what was imported nobody counted the pulls before: its idle time begins with the import. */
async function knownSince(records: RetentionRecords, repository: string): Promise<number> {
  const owner = await records.owner(repository);
  return owner?.by === 'import' ? owner.at : 0;
}
