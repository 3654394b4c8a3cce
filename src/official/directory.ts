import { join } from 'node:path';
import { algorithmOf, encodedOf, parseDigest, type Digest } from '../oci/digest.ts';
import { parseTag } from '../oci/reference.ts';
import { parseRepository } from '../oci/repository.ts';
import type { Disk } from '../system/disk.ts';

/** The data directory of an official registry (Distribution 2.x and 3.x), to be read and never changed. */
export interface OfficialDirectory {
  /** What the tag points to; `undefined`: there is none. Of `repository` as that registry names it, without a registry. */
  tag(repository: string, tag: string): Promise<TagLink | undefined>;
  /** Whether the repository holds the manifest, or the blob. */
  links(kind: LinkKind, repository: string, digest: Digest): Promise<boolean>;
  /** Names that can be no tag are left out. */
  tags(repository: string): Promise<readonly string[]>;
  /** The digests that the repository holds, and what stands there beside them. */
  linked(kind: LinkKind, repository: string): Promise<LinkedDigests>;
  /** Tags, manifests and blobs of a repository, as many as have a place there. */
  count(repository: string): Promise<number>;
  hasRepository(repository: string): Promise<boolean>;
  /**
   * In byte order, after the named one. What can be no name is passed over. A directory that cannot be read ends the list
   * with the disk's error, or is passed over where `unread` is told of it, by its path below the repositories.
   */
  repositories(after: string | undefined, unread?: Unread): AsyncGenerator<string>;
  /** Where a digest's bytes would be. */
  data(digest: Digest): string;
  /** Of those bytes; `undefined` where there are none. */
  size(digest: Digest): Promise<number | undefined>;
}

export type Unread = (path: string, error: unknown) => void;

export type LinkKind = 'manifest' | 'blob';

export interface TagLink {
  readonly digest: Digest;
  /** When that registry wrote it last, ms since the epoch: a push, or a pull through it. */
  readonly at: number;
}

export interface LinkedDigests {
  readonly digests: readonly Digest[];
  /** As they stand on the disk, `sha256/4e07…`: no digest of a known algorithm, or a link that does not name its own. */
  readonly odd: readonly string[];
}

/**
 * Reads `<root>/docker/registry/v2`:
 *
 *     repositories/<name>/_manifests/tags/<tag>/current/link         the digest that the tag points to
 *     repositories/<name>/_manifests/revisions/<algorithm>/<hex>/link   the manifest is this repository's
 *     repositories/<name>/_layers/<algorithm>/<hex>/link             the blob is
 *     blobs/<algorithm>/<xx>/<hex>/data                              its bytes
 *
 * Whoever may write there chooses names and contents, so that every name is parsed before it becomes part of a path, a link
 * that is a symbolic one is none, and one that names another digest than its place does grants nothing.
 */
export function openOfficialDirectory(disk: Disk, root: string): OfficialDirectory {
  const top = join(root, 'docker', 'registry', 'v2');
  const home = (repository: string): string => join(top, 'repositories', repository);
  const place = (kind: LinkKind, repository: string): string =>
    join(home(repository), ...(kind === 'manifest' ? ['_manifests', 'revisions'] : ['_layers']));
  const data = (digest: Digest): string =>
    join(top, 'blobs', algorithmOf(digest), encodedOf(digest).slice(0, 2), encodedOf(digest), 'data');

  return {
    async tag(repository, tag) {
      const path = join(home(repository), '_manifests', 'tags', tag, 'current', 'link');
      const digest = await readLink(disk, path);
      const at = digest === undefined ? undefined : (await disk.stat(path))?.modified;
      return digest === undefined || at === undefined ? undefined : { digest, at };
    },
    async links(kind, repository, digest) {
      const path = join(place(kind, repository), algorithmOf(digest), encodedOf(digest), 'link');
      return (await readLink(disk, path)) === digest;
    },
    async tags(repository) {
      const names = await disk.list(join(home(repository), '_manifests', 'tags'));
      return names.filter((name) => parseTag(name) !== undefined).sort();
    },
    async linked(kind, repository) {
      const [digests, odd]: [Digest[], string[]] = [[], []];
      for (const name of await listLinks(disk, place(kind, repository))) {
        const digest = parseDigest(name.replace('/', ':'));
        const path = join(place(kind, repository), name, 'link');
        if (digest !== undefined && (await readLink(disk, path)) === digest) digests.push(digest);
        // Without a link it was deleted there.
        else if (digest === undefined || (await disk.stat(path)) !== undefined) odd.push(name);
      }
      return { digests, odd };
    },
    async count(repository) {
      const tags = await disk.list(join(home(repository), '_manifests', 'tags'));
      const links = await Promise.all((['blob', 'manifest'] as const).map((kind) => listLinks(disk, place(kind, repository))));
      return links.reduce((sum, names) => sum + names.length, tags.length);
    },
    hasRepository: async (repository) => isDirectory(disk, join(home(repository), '_manifests')),
    repositories: (after, unread) => repositoriesBelow({ disk, top: join(top, 'repositories'), after, unread }, ''),
    data,
    size: async (digest) => ((await disk.isFile(data(digest))) ? (await disk.stat(data(digest)))?.size : undefined),
  };
}

/** Whether an official registry keeps, or kept, its data there. */
export async function isOfficialDirectory(disk: Disk, root: string): Promise<boolean> {
  return isDirectory(disk, join(root, 'docker', 'registry', 'v2', 'repositories'));
}

/** Whether it was a mirror, whose scheduler leaves this beside its data. */
export async function isMirrorDirectory(disk: Disk, root: string): Promise<boolean> {
  return disk.isFile(join(root, 'scheduler-state.json'));
}

async function isDirectory(disk: Disk, path: string): Promise<boolean> {
  return (await disk.stat(path))?.directory === true;
}

/** `sha256/4e07…`, whatever stands there. */
async function listLinks(disk: Disk, directory: string): Promise<string[]> {
  const names: string[] = [];
  for (const algorithm of await disk.list(directory))
    for (const hex of await disk.list(join(directory, algorithm))) names.push(`${algorithm}/${hex}`);
  return names.sort();
}

/** No digest is longer. */
const LINK_BYTES_MAX = 256;

async function readLink(disk: Disk, path: string): Promise<Digest | undefined> {
  if (!(await disk.isFile(path))) return undefined;
  const file = await disk.open(path, 'read');
  if (file === undefined) return undefined;
  try {
    const into = Buffer.alloc(LINK_BYTES_MAX);
    return parseDigest(into.toString('utf8', 0, await file.read(into, 0)).trim());
  } finally {
    await file.close();
  }
}

interface Walk {
  readonly disk: Disk;
  readonly top: string;
  readonly after: string | undefined;
  readonly unread: Unread | undefined;
}

/**
 * `a`, then `a-b`, then `a/b`: names in byte order, though a directory's own name and what is below it do not stand side by
 * side in it. What cannot come after `after` is not read.
 */
async function* repositoriesBelow(walk: Walk, prefix: string): AsyncGenerator<string> {
  const { disk, top, after } = walk;
  const names = (await listOr(walk, prefix)).filter((name) => parseRepository(name) === name && !name.includes('/'));
  const steps = names.flatMap((name) => [`${prefix}${name}`, `${prefix}${name}/`]).sort();
  for (const step of steps) {
    if (step.endsWith('/')) {
      if (after === undefined || step > after || after.startsWith(step)) yield* repositoriesBelow(walk, step);
    } else if ((after === undefined || step > after) && (await isRepository(walk, step))) yield step;
  }

  async function isRepository({ unread }: Walk, name: string): Promise<boolean> {
    try {
      return await isDirectory(disk, join(top, name, '_manifests'));
    } catch (error) {
      // Its list says so too.
      if (unread === undefined) throw error;
      return false;
    }
  }
}

async function listOr({ disk, top, unread }: Walk, prefix: string): Promise<string[]> {
  try {
    return await disk.list(join(top, prefix));
  } catch (error) {
    if (unread === undefined) throw error;
    unread(prefix, error);
    return [];
  }
}
