import { HOSTED, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import type { OfficialDirectory } from './directory.ts';
import type { ReportOfficial } from './events.ts';
import { createAsking, LostError } from './asking.ts';
import { mergedRepositories, mergedTags } from './lists.ts';
import type { OfficialNames, Takeover } from './takeover.ts';

export interface FallbackOptions {
  readonly clock: Clock;
  readonly records: Records;
  readonly directory: OfficialDirectory;
  readonly takeover: Takeover;
  readonly names: OfficialNames;
  readonly report: ReportOfficial;
}

type MaybePromise<T> = T | Promise<T>;

/**
 * Our records for whoever answers clients, behind which an official registry's data are looked up: what is not here and is
 * there is taken over before the answer, and what is here costs nothing more. What is deleted here stays deleted: that is
 * noted before it goes, since nothing is ever changed there. Once all was imported nothing is looked up any more.
 *
 * Trouble with the data: what is mirrored is asked for upstream as if it were not there; of what is hosted nobody else can
 * tell, so that the call rejects.
 */
export function withFallback(options: FallbackOptions): Records {
  const { records, directory, names, clock } = options;
  const hosted = names.upstream === HOSTED;
  const ask = createAsking(options);
  let imported = false;

  /** As that registry names it; `undefined`: it can have nothing of it that is not here. */
  async function nameOf(holder: string): Promise<string | undefined> {
    if (!holder.startsWith(`${names.registry}/`)) return undefined;
    imported ||= (await records.official.imported()) !== undefined;
    return imported ? undefined : holder.slice(names.registry.length + 1);
  }

  /** Reads again after what was read has been taken over. A value that is there at once is answered at once. */
  function orTaken<T>(
    holder: string,
    read: () => MaybePromise<T | undefined>,
    take: (repository: string) => Promise<boolean>,
  ): MaybePromise<T | undefined> {
    const found = read();
    if (found !== undefined && !(found instanceof Promise)) return found;
    const readAgain = async (): Promise<T | undefined> => {
      const value = await found;
      const repository = value === undefined ? await nameOf(holder) : undefined;
      if (repository === undefined) return value;
      return (await take(repository)) ? read() : undefined;
    };
    return readAgain();
  }

  const link = (holder: string, digest: Digest): ReturnType<Records['link']> =>
    orTaken(
      holder,
      () => records.link(holder, digest),
      async (repository) => (await ask.manifest(repository, digest)) || ask.blob(repository, digest),
    );
  const tag = (holder: string, name: string): ReturnType<Records['tag']> =>
    orTaken(
      holder,
      () => records.tag(holder, name),
      (repository) => ask.tag(repository, name),
    );
  const hostedTag = (holder: string, name: string): ReturnType<Records['hostedTag']> =>
    orTaken(
      holder,
      () => records.hostedTag(holder, name),
      (repository) => ask.tag(repository, name),
    );

  /** Yields what it pointed to there; `undefined` where it was not, or was deleted before. */
  async function withholdTag(holder: string, name: string): Promise<Digest | undefined> {
    const repository = await nameOf(holder);
    const found = repository === undefined ? undefined : await directory.tag(repository, name);
    if (found === undefined || (await records.official.isWithheld(holder, name))) return undefined;
    await records.official.withhold(holder, name, clock.now());
    return (await records.official.isWithheld(holder, found.digest)) ? undefined : found.digest;
  }

  /** False where it was not there, or was deleted before. */
  async function withholdDigest(holder: string, digest: Digest): Promise<boolean> {
    const repository = await nameOf(holder);
    if (repository === undefined || (await records.official.isWithheld(holder, digest))) return false;
    const isManifest = await directory.links('manifest', repository, digest);
    if (!isManifest && !(await directory.links('blob', repository, digest))) return false;
    await records.official.withhold(holder, digest, clock.now());
    return isManifest;
  }

  const served: Records = {
    ...records,
    link,
    tag,
    async dropTag(holder, name) {
      const there = await withholdTag(holder, name);
      return (await records.dropTag(holder, name)) || there !== undefined;
    },
    async dropLink(holder, digest, before) {
      if (before === undefined) await withholdDigest(holder, digest);
      return records.dropLink(holder, digest, before);
    },
    async tags(holder, after, limit) {
      const repository = await nameOf(holder);
      const page = await records.tags(holder, after, limit);
      return repository === undefined ? page : mergedTags(options, { holder, repository }, page, after, limit);
    },
    async repositories(after, limit) {
      const page = await records.repositories(after, limit);
      if ((await nameOf(`${names.registry}/`)) === undefined) return page;
      return mergedRepositories(options, page, after, limit);
    },
  };
  if (!hosted) {
    // Where no repository there holds them an upstream can still say that ours does: then they need not come again.
    const blob = (digest: Digest): ReturnType<Records['blob']> =>
      orTaken(
        `${names.registry}/`,
        () => records.blob(digest),
        () => ask.bytes(digest),
      );
    return { ...served, blob };
  }

  return {
    ...served,
    hostedTag,
    async owner(holder) {
      const repository = await nameOf(holder);
      const owner = await records.owner(holder);
      if (owner !== undefined || repository === undefined || !(await directory.hasRepository(repository))) return owner;
      return { by: 'import', at: clock.now() };
    },
    async hostedTags(holder, after, limit) {
      const repository = await nameOf(holder);
      const page = await records.hostedTags(holder, after, limit);
      return repository === undefined ? page : mergedTags(options, { holder, repository }, page, after, limit);
    },
    async referrers(holder, subject, after, limit) {
      const repository = await nameOf(holder);
      if (repository !== undefined && after === undefined) await ask.referrers(repository, subject);
      return records.referrers(holder, subject, after, limit);
    },
    async putHosted(holder, push) {
      if ((await nameOf(holder)) !== undefined) {
        // What is pushed may need what was pushed there, and may not move a tag that is immutable.
        for (const need of push.needs) await link(holder, need);
        for (const name of push.tags) await unlessLost(async () => hostedTag(holder, name));
      }
      return records.putHosted(holder, push);
    },
    async dropHostedTag(holder, name, before) {
      const there = await withholdTag(holder, name);
      const dropped = await records.dropHostedTag(holder, name, before);
      // One that is here, and stands otherwise than it was seen, stays.
      return before === undefined ? (dropped ?? there) : dropped;
    },
    async dropHosted(holder, digest, before) {
      const there = await withholdDigest(holder, digest);
      return (await records.dropHosted(holder, digest, before)) ?? (there ? { tags: [] } : undefined);
    },
  };
}

/** A push is what mends it. */
async function unlessLost(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof LostError)) throw error;
  }
}
