import { allTags, isHosted, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import { empty } from './answers.ts';
import type { PushDeps } from './deps.ts';
import type { Quotas } from './quota.ts';
import { tell } from './tell.ts';
import type { PushReply, Pushing } from './request.ts';

/**
 * 202: a tag, or a manifest with all tags that point to it (OCI distribution-spec, "Deleting Manifests"). What was pushed is
 * gone; what was cached is only let go of, and a later pull asks upstream again. Throws RegistryError 404 for what is
 * neither.
 */
export async function deleteManifest(
  deps: PushDeps,
  quotas: Quotas,
  pushing: Pushing,
  reference: Reference,
): Promise<PushReply> {
  const { records } = deps;
  const dropped =
    reference.kind === 'tag'
      ? await dropTag(records, pushing.holder, reference.tag)
      : await dropDigest(records, pushing.holder, reference.digest);
  if (dropped === undefined) {
    throw new RegistryError('MANIFEST_UNKNOWN', `${pushing.holder} has no manifest ${referenceText(reference)} here`);
  }
  if (dropped !== 'cached') await quotas.settle(pushing);
  await records.flushed();
  if (dropped !== 'cached') await tell(deps, pushing, { action: 'delete', kind: 'manifest', ...dropped });
  return empty(202, {});
}

/** 202: the repository holds the blob no more. Whoever deletes a blob that a manifest needs breaks that manifest. */
export async function deleteBlob(deps: PushDeps, quotas: Quotas, pushing: Pushing, digest: Digest): Promise<PushReply> {
  const { records } = deps;
  const { holder, request } = pushing;
  request.trace.digest = digest;
  const link = await records.link(holder, digest);
  if (link?.kind !== 'blob' || !(await records.dropLink(holder, digest))) {
    throw new RegistryError('BLOB_UNKNOWN', `${holder} has no blob ${digest} here`);
  }
  if (isHosted(link)) await quotas.settle(pushing);
  await records.flushed();
  if (isHosted(link)) await tell(deps, pushing, { action: 'delete', kind: 'blob', digest, size: link.size });
  return empty(202, {});
}

/** What was pushed and is gone; `cached`: it came from an upstream; `undefined`: there was none. */
type Dropped = { readonly digest: Digest; readonly tag?: string } | 'cached' | undefined;

async function dropTag(records: Records, holder: string, tag: string): Promise<Dropped> {
  const digest = await records.dropHostedTag(holder, tag);
  if (digest !== undefined) return { digest, tag };
  return (await records.dropTag(holder, tag)) ? 'cached' : undefined;
}

async function dropDigest(records: Records, holder: string, digest: Digest): Promise<Dropped> {
  if ((await records.dropHosted(holder, digest)) !== undefined) return { digest };
  return (await dropCached(records, holder, digest)) ? 'cached' : undefined;
}

/** Tags first: one that points to what is not granted any more would cost an upstream question that it need not. */
async function dropCached(records: Records, holder: string, digest: Digest): Promise<boolean> {
  const link = await records.link(holder, digest);
  if (link?.kind !== 'manifest' || isHosted(link)) return false;
  for await (const { tag, record } of allTags(records, holder))
    if (record.digest === digest) await records.dropTag(holder, tag);
  return records.dropLink(holder, digest);
}
