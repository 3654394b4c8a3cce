import type { BlobStore } from '../blobs/blob-store.ts';
import type { Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { needsOf } from './read-manifest.ts';

export interface ImageDeps {
  readonly blobs: Pick<BlobStore, 'open'>;
  readonly records: Pick<Records, 'link'>;
}

/** Manifests that one image may need: an index of indexes of all platforms has a few dozen. */
const MANIFESTS_MAX = 1_000;

/**
 * Everything that is linked under the repository and that the manifest needs, at whatever depth, itself included. Nothing
 * below a manifest whose bytes are not here: who asks for it again asks for all of it.
 */
export async function imageOf(deps: ImageDeps, repository: string, root: Digest): Promise<ReadonlySet<Digest>> {
  const found = new Set<Digest>();
  const next: Digest[] = [root];
  let manifests = 0;
  for (let digest = next.pop(); digest !== undefined; digest = next.pop()) {
    if (found.has(digest)) continue;
    const link = await deps.records.link(repository, digest);
    if (link === undefined && digest !== root) continue;
    found.add(digest);
    if (link?.kind !== 'manifest' || (manifests += 1) > MANIFESTS_MAX) continue;
    next.push(...((await needsOf(deps.blobs, digest, link)) ?? []));
  }
  return found;
}
