import type { BlobStore } from '../blobs/blob-store.ts';
import type { LinkRecord, Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { needsOf } from './read-manifest.ts';

export interface ImageDeps {
  readonly blobs: Pick<BlobStore, 'open'>;
  readonly records: Pick<Records, 'link'>;
  /** Default: reads each manifest. */
  readonly needs?: (digest: Digest, link: LinkRecord) => Promise<readonly Digest[] | undefined>;
}

/** Manifests that one image may need: an index of indexes of all platforms has a few dozen. */
const MANIFESTS_MAX = 1_000;

/** Manifests whose needs are remembered, some kilobytes each at most; the oldest go. */
const REMEMBERED_MAX = 2_000;

/**
 * Everything that is linked under the repository and that the manifest needs, at whatever depth, itself included. Nothing
 * below a manifest whose bytes are not here: who asks for it again asks for all of it.
 */
export async function imageOf(deps: ImageDeps, repository: string, root: Digest): Promise<ReadonlySet<Digest>> {
  const { needs = (digest, link) => needsOf(deps.blobs, digest, link) } = deps;
  const found = new Set<Digest>();
  const next: Digest[] = [root];
  let manifests = 0;
  for (let digest = next.pop(); digest !== undefined; digest = next.pop()) {
    if (found.has(digest)) continue;
    const link = await deps.records.link(repository, digest);
    if (link === undefined && digest !== root) continue;
    found.add(digest);
    if (link?.kind !== 'manifest' || (manifests += 1) > MANIFESTS_MAX) continue;
    next.push(...((await needs(digest, link)) ?? []));
  }
  return found;
}

/** As `needsOf` of the same blobs, which does not change for a digest: for whoever asks for the same manifests again and again. */
export function rememberNeeds(blobs: ImageDeps['blobs']): NonNullable<ImageDeps['needs']> {
  const known = new Map<Digest, readonly Digest[]>();
  return async (digest, link) => {
    const remembered = known.get(digest);
    if (remembered !== undefined) return remembered;
    const needs = await needsOf(blobs, digest, link);
    if (needs === undefined) return undefined;
    if (known.size >= REMEMBERED_MAX) for (const oldest of known.keys()) if (known.delete(oldest)) break;
    known.set(digest, needs);
    return needs;
  };
}
