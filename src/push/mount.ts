import type { BlobStore } from '../blobs/blob-store.ts';
import { isHosted, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { created } from './answers.ts';
import type { PushDeps } from './deps.ts';
import type { Quotas } from './quota.ts';
import { tell } from './tell.ts';
import type { PushReply, Pushing } from './request.ts';

/** Repositories that are looked at for one that the client may read. */
const HOLDERS_MAX = 100;

/**
 * Links a blob that is here already (OCI distribution-spec, "Mounting a blob from another repository"), if the client may
 * read it where it is (reliability.md, S09). `undefined` otherwise, which says nothing of why: the client uploads it.
 */
export async function mountBlob(
  deps: PushDeps,
  quotas: Quotas,
  pushing: Pushing,
  digest: Digest,
  from: string | undefined,
): Promise<PushReply | undefined> {
  const { records, clock } = deps;
  const { holder, name, request } = pushing;
  const source = await sourceOf(deps, pushing, digest, from);
  if (source === undefined) return undefined;
  request.trace.digest = digest;
  request.trace.size = source.size;
  const link = { kind: 'blob', size: source.size, by: 'mount', at: clock.now() } as const;
  // Also where it was linked: who is told that it is here relies on it, and collection must see that.
  const added = (): Promise<number> => quotas.added(pushing, [{ digest, size: source.size }]);
  const linked = await quotas.during(pushing, `${holder} ${digest}`, added, () => records.putHostedLink(holder, digest, link));
  if (!linked) return undefined;
  await records.flushed();
  if (!source.linked) {
    await tell(deps, pushing, { action: 'mount', kind: 'blob', digest, size: source.size, fromRepository: source.shown });
  }
  return created(name, 'blobs', digest);
}

interface Source {
  readonly repository: string;
  /** As the client named it, where it did. */
  readonly shown: string;
  readonly size: number;
  /** This repository links it itself. */
  readonly linked: boolean;
}

async function sourceOf(
  { records, blobs, isServed, isLetIn, stillShows }: PushDeps,
  { holder, request }: Pushing,
  digest: Digest,
  from: string | undefined,
): Promise<Source | undefined> {
  for (const repository of await candidates(records, request, digest, from)) {
    if (!isServed(repository)) continue;
    const link = await records.link(repository, digest);
    if (link === undefined || (link.kind !== 'blob' && repository !== holder)) continue;
    // What a pull from there would be refused is not taken out of it either.
    if (repository !== holder && !(await isLetIn(repository, digest))) continue;
    const hosted = isHosted(link);
    if (!hosted && !(await stillShows(repository, digest, link))) continue;
    if (await isHeld(blobs, digest, link.size))
      return { repository, shown: from ?? repository, size: link.size, linked: repository === holder && hosted };
  }
  return undefined;
}

/** Those of them that the client may pull. */
async function candidates(
  records: Records,
  { nameOf, mayPull }: Pushing['request'],
  digest: Digest,
  from: string | undefined,
): Promise<readonly string[]> {
  if (from === undefined) return (await records.holders(digest, undefined, HOLDERS_MAX)).filter(mayPull);
  const name = nameOf(from);
  return name === undefined ? [] : [`${name.registry}/${name.repository}`];
}

/** A file that vanished or was cut short is nothing to point to. */
async function isHeld(blobs: BlobStore, digest: Digest, size: number): Promise<boolean> {
  const file = await blobs.open(digest);
  if (file === undefined) return false;
  file.close();
  return file.size === size;
}
