import { HOSTED } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import type { Reference } from '../oci/reference.ts';
import type { BlobAnswer } from './blob.ts';
import { OFFLINE_STATUS } from './cache-status.ts';
import type { PullDeps, Pulling } from './deps.ts';
import type { ReportPull } from './events.ts';
import { shows } from './granting.ts';
import { heldContent } from './held.ts';
import { lookupBlob, lookupManifest, type ManifestLink } from './lookup.ts';
import { readHeld, type ManifestAnswer, type ManifestRefusal } from './manifest.ts';
import type { Refusal } from './refusal.ts';
import { ageMs } from './freshness.ts';
import { readOr } from './trouble.ts';

/** Not held, and nobody is asked: no upstream said anything, so that nothing is remembered as absent. */
export const OFFLINE: Refusal = { kind: 'offline', tried: [] };

export const NOT_HELD: ManifestRefusal = { kind: 'refused', refusal: OFFLINE, cacheStatus: OFFLINE_STATUS };

/**
 * A manifest of an offline route: what is held is served whatever its age, since that is what the operator asked for. HEAD
 * says what GET would: a tag whose bytes have gone is not there.
 */
export async function manifestOffline(
  deps: PullDeps,
  pulling: Pulling,
  reference: Reference,
): Promise<ManifestAnswer | ManifestRefusal> {
  return readable(deps.report, async () => {
    const link =
      reference.kind === 'tag'
        ? await tagLink(deps, pulling, reference.tag)
        : await lookupManifest(deps, pulling, reference.digest);
    const held = link === undefined ? undefined : await readHeld(deps, pulling, link.digest, link);
    return held === undefined ? NOT_HELD : { ...held, source: { outcome: 'hit' } };
  });
}

async function tagLink(deps: PullDeps, pulling: Pulling, tag: string): Promise<ManifestLink | undefined> {
  const { records, clock } = deps;
  const record = await records.tag(pulling.holder, tag);
  // What was pushed is answered before (hosted.ts), where the chain still holds it.
  if (record === undefined || record.upstream === HOSTED) return undefined;
  if (!(await shows(deps, pulling.route, record.digest, record))) return undefined;
  pulling.trace.ageSeconds = Math.round(ageMs(record, clock.now()) / 1000);
  return record;
}

/** A blob of an offline route. Bytes that came through another repository stay private: nobody can be asked (promise 9). */
export async function blobOffline(deps: PullDeps, pulling: Pulling, digest: Digest): Promise<BlobAnswer> {
  return readable(deps.report, async () => {
    const found = await lookupBlob(deps, pulling, digest);
    if (found.kind !== 'held') return NOT_HELD;
    return { kind: 'content', content: heldContent(deps.blobs, digest, found.size), source: { outcome: 'hit' } };
  });
}

/** What cannot be looked up is not "not there", and offline there is no way past the trouble. */
export function readable<T>(report: ReportPull, read: () => Promise<T>): Promise<T> {
  return readOr(report, read, (reason, cause) => {
    const message = `this mirror is offline, and its ${reason} cannot be asked now`;
    return new RegistryError('UNAVAILABLE', message, { status: 503, detail: { offline: true }, cause });
  });
}
