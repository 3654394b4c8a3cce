import type { Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import { empty } from './answers.ts';
import type { PushDeps } from './deps.ts';
import { tell } from './tell.ts';
import type { PushReply, Pushing } from './request.ts';

/** Tags that are read at once. */
const PAGE = 200;

/**
 * 202: a tag, or a manifest with all tags that point to it (OCI distribution-spec, "Deleting Manifests"). What was pushed is
 * gone; what was cached is only let go of, and a later pull asks upstream again. Throws RegistryError 404 for what is
 * neither.
 */
export async function deleteManifest(deps: PushDeps, pushing: Pushing, reference: Reference): Promise<PushReply> {
  const { records } = deps;
  const done =
    reference.kind === 'tag' ? await dropTag(deps, pushing, reference.tag) : await dropDigest(deps, pushing, reference.digest);
  if (!done) {
    const message = `${pushing.holder} has no manifest ${referenceText(reference)} here`;
    throw new RegistryError('MANIFEST_UNKNOWN', message);
  }
  await records.flushed();
  return empty(202, {});
}

/** 202: the repository holds the blob no more. Whoever deletes a blob that a manifest needs breaks that manifest. */
export async function deleteBlob(deps: PushDeps, pushing: Pushing, digest: Digest): Promise<PushReply> {
  const { records } = deps;
  const { holder, request } = pushing;
  request.trace.digest = digest;
  const link = await records.link(holder, digest);
  if (link?.kind !== 'blob' || !(await records.dropLink(holder, digest))) {
    throw new RegistryError('BLOB_UNKNOWN', `${holder} has no blob ${digest} here`);
  }
  await records.flushed();
  if (isHosted(link.by)) await tell(deps, pushing, { action: 'delete', kind: 'blob', digest, size: link.size });
  return empty(202, {});
}

async function dropTag(deps: PushDeps, pushing: Pushing, tag: string): Promise<boolean> {
  const { records } = deps;
  const digest = await records.dropHostedTag(pushing.holder, tag);
  if (digest === undefined) return records.dropTag(pushing.holder, tag);
  await records.flushed();
  await tell(deps, pushing, { action: 'delete', kind: 'manifest', digest, tag });
  return true;
}

async function dropDigest(deps: PushDeps, pushing: Pushing, digest: Digest): Promise<boolean> {
  const { records } = deps;
  const { holder, request } = pushing;
  request.trace.digest = digest;
  const dropped = await records.dropHosted(holder, digest);
  if (dropped === undefined) return dropCached(records, holder, digest);
  await records.flushed();
  await tell(deps, pushing, { action: 'delete', kind: 'manifest', digest });
  return true;
}

/** Tags first: one that points to what is not granted any more would cost an upstream question that it need not. */
async function dropCached(records: Records, holder: string, digest: Digest): Promise<boolean> {
  const link = await records.link(holder, digest);
  if (link?.kind !== 'manifest' || isHosted(link.by)) return false;
  for (let after: string | undefined; ;) {
    const page = await records.tags(holder, after, PAGE);
    for (const { tag, record } of page) if (record.digest === digest) await records.dropTag(holder, tag);
    after = page.at(-1)?.tag;
    if (page.length < PAGE) break;
  }
  return records.dropLink(holder, digest);
}

function isHosted(by: 'upstream' | 'public' | 'push' | 'mount' | 'import'): boolean {
  return by !== 'upstream' && by !== 'public';
}
