import type { Records, TagRecord } from '../metadata/records.ts';
import type { OfficialDirectory } from './directory.ts';
import type { OfficialNames } from './takeover.ts';

interface ListDeps {
  readonly records: Pick<Records, 'official' | 'tag'>;
  readonly directory: OfficialDirectory;
  readonly names: OfficialNames;
}

type ListedTag = { readonly tag: string; readonly record: TagRecord };

/**
 * A page of our tags, with those that stand only in the official registry's data between them, in order. `page`: ours after
 * `after`, at most `limit`. Of a tag that was not taken over only the digest and the time are known yet.
 */
export async function mergedTags(
  { records, directory, names }: ListDeps,
  { holder, repository }: { readonly holder: string; readonly repository: string },
  page: readonly ListedTag[],
  after: string | undefined,
  limit: number,
): Promise<readonly ListedTag[]> {
  const merged: ListedTag[] = [];
  const ours = new Map(page.map((one) => [one.tag, one]));
  const theirs = (await directory.tags(repository)).filter((tag) => (after === undefined || tag > after) && !ours.has(tag));
  // A full page ends where ours does: what comes behind is the next one's.
  const end = page.length < limit ? undefined : page.at(-1)?.tag;
  for (const tag of [...ours.keys(), ...theirs].sort()) {
    if (merged.length === limit || (end !== undefined && tag > end)) break;
    const one = ours.get(tag) ?? (await listed(tag));
    if (one !== undefined) merged.push(one);
  }
  return merged;

  /** Not one that was deleted here, that points to what was, or that points to nothing; nor one that stands elsewhere in ours. */
  async function listed(tag: string): Promise<ListedTag | undefined> {
    const found = await directory.tag(repository, tag);
    if (found === undefined || (await records.tag(holder, tag)) !== undefined) return undefined;
    const { digest, at } = found;
    if (await records.official.isWithheld(holder, tag)) return undefined;
    if (await records.official.isWithheld(holder, digest)) return undefined;
    if (!(await directory.links('manifest', repository, digest))) return undefined;
    return { tag, record: { digest, mediaType: '', size: 0, checked: at, upstream: names.upstream } };
  }
}

/** A page of our repositories, with those of the official registry's data between them, in order. */
export async function mergedRepositories(
  { directory, names }: Pick<ListDeps, 'directory' | 'names'>,
  page: readonly string[],
  after: string | undefined,
  limit: number,
): Promise<readonly string[]> {
  const start = `${names.registry}/`;
  if (after !== undefined && after > start && !after.startsWith(start)) return page;
  const merged = new Set(page);
  let count = 0;
  for await (const name of directory.repositories(after?.startsWith(start) === true ? after.slice(start.length) : undefined)) {
    merged.add(`${start}${name}`);
    count += 1;
    if (count === limit) break;
  }
  return [...merged].sort().slice(0, limit);
}
