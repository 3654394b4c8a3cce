import { untilHeld, type HostedLink } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import type { PushDeps } from './deps.ts';

type HoldDeps = Pick<PushDeps, 'clock' | 'records'>;

/**
 * Holds a digest that is about to be published, durably, so that a crash leaves nothing that collect cannot find. Where it
 * is being deleted, waits for the end of that. Throws 503 where there is none in sight.
 */
export async function holdDigest(
  deps: HoldDeps,
  holder: string,
  digest: Digest,
  hold: Pick<HostedLink, 'kind' | 'by'>,
): Promise<void> {
  if (!(await untilHeld(deps, holder, digest, hold))) throw deletedMeanwhile(digest);
  await deps.records.flushed();
}

/**
 * Records bytes that were just published. False where they are gone: a hold lasts for an hour of the wall clock, which may
 * jump over it, and a deletion that had begun before they came takes them along. What is recorded and there no deletion
 * takes any more: it would ask for what is recorded.
 */
export async function recordHeld(
  { records, blobs, clock }: Pick<PushDeps, 'records' | 'blobs' | 'clock'>,
  digest: Digest,
  size: number,
): Promise<boolean> {
  const before = await records.blob(digest);
  const record = { size, public: before?.public === true, state: 'held', at: clock.now() } as const;
  return (await records.putBlob(digest, record)) && (await blobs.look(digest)) !== undefined;
}

/**
 * A manifest is a blob as well: its own link says more, and stays, but for its time: who pushed it again relies on it. Throws
 * 503 where the bytes were deleted meanwhile.
 */
export async function linkBlob({ records }: HoldDeps, holder: string, digest: Digest, link: HostedLink): Promise<void> {
  if (!(await records.putHostedLink(holder, digest, link))) throw deletedMeanwhile(digest);
}

export function deletedMeanwhile(digest: Digest): RegistryError {
  return new RegistryError('UNAVAILABLE', `${digest} is being deleted just now: send it again`, {
    status: 503,
    headers: { 'retry-after': '1' },
  });
}
