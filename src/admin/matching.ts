import { allRepositories, allTags } from '../metadata/records.ts';
import { parseDigest } from '../oci/digest.ts';
import type { AdminOptions } from './admin.ts';
import type { Doomed } from './evict.ts';
import { isTagged } from './image.ts';

type MatchOptions = Pick<AdminOptions, 'records' | 'resolve' | 'match' | 'shown'>;

/**
 * What is held under a name, repository by repository: a pattern with `*` is matched against `registry/repository` and
 * `registry/repository:tag`; any other is an image's name, or a repository's.
 */
export async function* matchHeld(options: MatchOptions, pattern: string): AsyncGenerator<Doomed> {
  if (!pattern.includes('*')) return yield* matchNamed(options, pattern);
  const matches = options.match(pattern);
  for await (const repository of allRepositories(options.records)) {
    const names = [repository, options.shown(repository)];
    const whole = names.some(matches);
    const all = await tagsOf(options, repository);
    const tags = whole ? all : all.filter(({ tag }) => names.some((name) => matches(`${name}:${tag}`)));
    if (whole || tags.length > 0) yield { repository, tags, digests: [], whole };
  }
}

async function* matchNamed(options: MatchOptions, image: string): AsyncGenerator<Doomed> {
  const { records } = options;
  const { registry, repository: path, reference } = options.resolve(image);
  const repository = `${registry}/${path}`;
  const whole = !isTagged(image);
  const all = await tagsOf(options, repository);
  const tags = all.filter(({ tag, record }) => whole || tag === reference || record.digest === reference);
  const digest = parseDigest(reference);
  const digests = digest !== undefined && (await records.link(repository, digest)) !== undefined ? [digest] : [];
  const isHeld = whole ? (await records.links(repository, undefined, 1)).length > 0 : digests.length > 0;
  if (tags.length > 0 || isHeld) yield { repository, tags, digests, whole };
}

async function tagsOf({ records }: MatchOptions, repository: string): Promise<Doomed['tags']> {
  const all: Doomed['tags'][number][] = [];
  for await (const one of allTags(records, repository)) all.push(one);
  return all;
}
