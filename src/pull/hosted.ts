import { isHosted, type LinkRecord, type OwnerRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import type { BlobAnswer } from './blob.ts';
import { HOSTED_STATUS } from './cache-status.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { heldContent } from './held.ts';
import { isHeld, type ManifestLink } from './lookup.ts';
import { readHeld, type ManifestAnswer } from './manifest.ts';
import type { Target } from './name.ts';
import type { Route } from './route.ts';
import { unlessTrouble } from './trouble.ts';

type ManifestTarget = Extract<Target, { kind: 'manifest' }>;
type BlobTarget = Extract<Target, { kind: 'blob' }>;

/**
 * A manifest of a repository that is hosted, from the records alone; `undefined` where the rest of the chain is to be asked.
 * Who of the two answers is decided first, and neither absence nor trouble here ever leads to the other (architecture.md,
 * decision 11; reliability.md, S14): an upstream may hold the same name in somebody else's hands. Throws RegistryError: 404
 * for what was not pushed, 503 while nobody can tell, 500 where the bytes of what was pushed are lost.
 */
export async function manifestHosted(
  deps: PullDeps,
  pulling: Pulling,
  { name, reference }: ManifestTarget,
): Promise<ManifestAnswer | undefined> {
  if (!pulling.route.hosted) return undefined;
  return unlessTrouble(deps.report, async () => {
    if (!(await answersHere(deps, pulling))) return undefined;
    const text = `manifest ${name.shown}${reference.kind === 'tag' ? ':' : '@'}${referenceText(reference)}`;
    const link = await manifestLink(deps, pulling, reference);
    if (link === undefined) throw unknown(pulling, 'MANIFEST_UNKNOWN', `${text} was not pushed here`);
    const held = await readHeld(deps, pulling, link.digest, link);
    if (held === undefined) throw lost(`${text} was pushed here, but its bytes are lost or damaged on this registry's disk`);
    return { ...held, source: { outcome: 'hit' }, hosted: true };
  });
}

/** A blob likewise. One whose bytes are lost is 404: every client that pushes it then brings it again, for all who hold it. */
export async function blobHosted(
  deps: PullDeps,
  pulling: Pulling,
  { name, digest }: BlobTarget,
): Promise<BlobAnswer | undefined> {
  if (!pulling.route.hosted) return undefined;
  return unlessTrouble(deps.report, async () => {
    if (!(await answersHere(deps, pulling))) return undefined;
    const text = `blob ${name.shown}@${digest}`;
    const link = await hostedLink(deps, pulling, digest);
    if (link === undefined) throw unknown(pulling, 'BLOB_UNKNOWN', `${text} was not pushed here`);
    if (!(await isHeld(deps, digest, link.size)))
      throw unknown(pulling, 'BLOB_UNKNOWN', `${text} was pushed here, but its bytes are lost: push it again`);
    return { kind: 'content', content: heldContent(deps.blobs, digest, link.size), source: { outcome: 'hit' } };
  });
}

/** The tag is asked again nowhere: throws RegistryError where what was pushed here is all that there is. */
export async function refuseRefresh(deps: PullDeps, pulling: Pulling): Promise<void> {
  if (!pulling.route.hosted || !(await unlessTrouble(deps.report, () => answersHere(deps, pulling)))) return;
  throw new RegistryError('UNSUPPORTED', `${pulling.holder} is hosted here: there is no upstream to ask`);
}

/** Whose a repository is, which lists ask always: what came of an earlier chain is not what was pushed. */
export async function ownerOf(
  deps: Pick<PullDeps, 'records' | 'report'>,
  { hosted }: Route,
  holder: string,
): Promise<OwnerRecord | undefined> {
  return hosted ? unlessTrouble(deps.report, async () => deps.records.owner(holder)) : undefined;
}

/** Where nobody else is in the chain it need not be asked whose the repository is: a hit costs one read (decision 10). */
export async function answersHere(
  { records }: Pick<PullDeps, 'records'>,
  { route, holder }: Pick<Pulling, 'route' | 'holder'>,
): Promise<boolean> {
  return route.alone || (await records.owner(holder)) !== undefined;
}

async function manifestLink(deps: PullDeps, pulling: Pulling, reference: Reference): Promise<ManifestLink | undefined> {
  if (reference.kind === 'tag') return deps.records.hostedTag(pulling.holder, reference.tag);
  const link = await hostedLink(deps, pulling, reference.digest);
  if (link?.kind !== 'manifest' || link.mediaType === undefined) return undefined;
  return { digest: reference.digest, mediaType: link.mediaType, size: link.size };
}

/** What came by itself from a chain that is no more grants nothing, unless a push has taken the repository over. */
async function hostedLink(deps: PullDeps, pulling: Pulling, digest: Digest): Promise<LinkRecord | undefined> {
  const { records } = deps;
  const { route, holder } = pulling;
  const link = await records.link(holder, digest);
  if (link === undefined) return undefined;
  if (isHosted(link)) return promised(deps, pulling, digest, link);
  return route.alone && (await records.owner(holder)) === undefined ? undefined : link;
}

/** Half of what collection spares: a push has the other half for what comes after its question. */
const RENEW_MS = 1_800_000;

/**
 * A client asks by HEAD what it need not push, and then pushes what needs that: what it is told to be here, collection may
 * not take in between (reliability.md, R28). A link is renewed at most every half hour; one that was taken meanwhile is
 * not here.
 */
export async function promised(
  { records, clock }: PullDeps,
  { method, holder, route }: Pulling,
  digest: Digest,
  link: LinkRecord,
): Promise<LinkRecord | undefined> {
  if (method !== 'HEAD' || !route.push || link.at + RENEW_MS > clock.now()) return link;
  return (await records.renewLink(holder, digest, link, clock.now())) ? link : records.link(holder, digest);
}

function unknown({ trace }: Pulling, code: 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN', message: string): RegistryError {
  trace.outcome = 'negative';
  return new RegistryError(code, message, { headers: { 'cache-status': HOSTED_STATUS } });
}

/** No 404: mirrors of this registry would forget the image, and programs would take it for deleted. */
function lost(message: string): RegistryError {
  return new RegistryError('UNKNOWN', `${message}: push it again, or restore them`);
}
