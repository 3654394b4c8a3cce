import type { Digest } from '../oci/digest.ts';
import type { PushDeps } from './deps.ts';
import { deletedMeanwhile, holdDigest, linkBlob, recordHeld } from './hold.ts';
import type { OpenUpload } from './open-upload.ts';
import type { Pushing } from './request.ts';

/**
 * Publishes a verified upload and links it to its repository: the digest is held first, so that no collection takes it
 * between our steps (hosted.ts); then bytes, then what refers to them; the upload ends last, so that whatever step a crash
 * comes after, the client can finish again or finds it done. Durable when it resolves.
 */
export async function keepBlob(deps: PushDeps, { holder }: Pushing, upload: OpenUpload, digest: Digest): Promise<void> {
  const { records, clock, report } = deps;
  const size = upload.offset;
  await holdDigest(deps, holder, digest, { kind: 'blob', by: 'push' });
  await upload.part.publish(digest);
  if (!(await recordHeld(deps, digest, size))) throw deletedMeanwhile(digest);
  await linkBlob(deps, holder, digest, { kind: 'blob', size, by: 'push', at: clock.now() });
  await upload.claim.drop();
  await records.flushed();
  report({ kind: 'kept', digest, bytes: size });
}
