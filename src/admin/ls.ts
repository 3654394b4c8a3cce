import { allRepositories, allTags } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { AdminError } from './admin-error.ts';
import type { AdminOptions } from './admin.ts';
import { isTagged } from './image.ts';
import type { NamedPin } from './pins.ts';

/** One tag that is held, as `ls` shows it. Times are ISO 8601. */
export interface ListedTag {
  /** As a person can ask for it: with its registry, but for a plain one's. */
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** When an upstream last said that the tag points there, or when it was pushed. */
  readonly checked: string;
  /** `hosted`: it was pushed here. */
  readonly upstream: string;
  /** How the repository came to be hosted; `undefined`: its chain answers for it. */
  readonly owner: 'push' | 'import' | undefined;
  readonly lastUse: string | undefined;
  /** Of what is held of it: its manifests, configs and layers. What images share counts in each. */
  readonly bytes: number;
  /** Which pins keep it. */
  readonly pinned: readonly string[];
  /** Pulls of the repository by tag. */
  readonly pulls: number;
}

type Pins = readonly NamedPin[];
type ListOptions = Pick<AdminOptions, 'records' | 'resolve' | 'match' | 'shown' | 'cache'>;

/** A pattern with `*` is matched against `registry/repository` and `registry/repository:tag`; any other is an image's name. */
export async function* listHeld(options: ListOptions, pattern: string | undefined): AsyncGenerator<ListedTag> {
  let count = 0;
  const pins = await options.cache.pins();
  for await (const listed of pattern === undefined || pattern.includes('*')
    ? listMatching(options, pattern, pins)
    : listNamed(options, pattern, pins)) {
    count += 1;
    yield listed;
  }
  if (count === 0 && pattern !== undefined) throw new AdminError(`nothing that is held matches ${pattern}`);
}

async function* listMatching(options: ListOptions, pattern: string | undefined, pins: Pins): AsyncGenerator<ListedTag> {
  const matches = pattern === undefined ? () => true : options.match(pattern);
  for await (const repository of allRepositories(options.records)) {
    const names = [repository, options.shown(repository)];
    const whole = names.some(matches);
    for await (const listed of tags(options, repository, pins)) {
      if (whole || names.some((name) => matches(`${name}:${listed.tag}`))) yield listed;
    }
  }
}

async function* listNamed(options: ListOptions, image: string, pins: Pins): AsyncGenerator<ListedTag> {
  const { registry, repository, reference } = options.resolve(image);
  const tagged = isTagged(image);
  for await (const listed of tags(options, `${registry}/${repository}`, pins)) {
    if (!tagged || listed.tag === reference || listed.digest === reference) yield listed;
  }
}

async function* tags({ records, shown, cache }: ListOptions, repository: string, pins: Pins): AsyncGenerator<ListedTag> {
  const pulls = (await records.pulls(repository))?.pulls ?? 0;
  const owner = (await records.owner(repository))?.by;
  for await (const { tag, record } of allTags(records, repository)) {
    const used = await records.lastUse(record.digest);
    yield {
      repository: shown(repository),
      tag,
      digest: record.digest,
      mediaType: record.mediaType,
      checked: new Date(record.checked).toISOString(),
      upstream: record.upstream,
      owner,
      lastUse: used === undefined ? undefined : new Date(used).toISOString(),
      bytes: await cache.imageBytes(repository, record.digest),
      pinned: pins.filter(({ matches }) => matches(repository, tag)).map(({ text }) => text),
      pulls,
    };
  }
}
