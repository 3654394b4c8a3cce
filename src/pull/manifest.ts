import type { Digest } from '../oci/digest.ts';
import { readManifest } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';
import { NEGATIVE_STATUS, type Source } from './cache-status.ts';
import { CHAIN_DEADLINE_MS, type ChainResult, type Refusal } from './chain.ts';
import type { Collapse } from './collapse.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { fetchManifest, type FetchedManifest } from './fetch-manifest.ts';
import { lookupManifest, type ManifestLink } from './lookup.ts';
import { linkProven } from './prove.ts';

/** A manifest to answer with; without `bytes` where a HEAD needed none. */
export interface ManifestAnswer {
  readonly kind: 'manifest';
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly bytes: Uint8Array | undefined;
  readonly source: Source;
}

/** `cacheStatus` where it is not simply a miss. */
export interface ManifestRefusal {
  readonly kind: 'refused';
  readonly refusal: Refusal;
  readonly cacheStatus?: string;
}

export type Manifests = Collapse<ChainResult<FetchedManifest> & { readonly stored?: boolean }>;

/** A manifest by digest: held, or proven to be this repository's, or fetched. */
export async function manifestByDigest(
  deps: PullDeps,
  fetches: Manifests,
  pulling: Pulling,
  digest: Digest,
): Promise<ManifestAnswer | ManifestRefusal> {
  const held = await readHeld(deps, pulling, digest, await lookupManifest(deps, pulling.holder, digest));
  if (held !== undefined) return { ...held, source: { outcome: 'hit' } };
  const key = absenceKey(pulling, digest);
  const absence = deps.absences.get(key);
  if (absence !== undefined) return { kind: 'refused', refusal: absence, cacheStatus: NEGATIVE_STATUS };
  const unlinked = await showUnlinked(deps, pulling, digest);
  if (unlinked !== undefined) return unlinked;
  return fetchAndKeep(deps, fetches, pulling, { kind: 'digest', digest });
}

/** Bytes for a link; nothing where there is no link, or the bytes have gone. HEAD needs none but that they are there. */
export async function readHeld(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
  link: ManifestLink | undefined,
): Promise<Omit<ManifestAnswer, 'source'> | undefined> {
  if (link === undefined) return undefined;
  const bytes = await deps.store.read(digest, link.size);
  if (bytes === undefined) return undefined;
  const { mediaType, size } = link;
  return { kind: 'manifest', digest, mediaType, size, bytes: pulling.method === 'HEAD' ? undefined : bytes };
}

/** The bytes came through another repository: an upstream has to say that this one holds them too. */
async function showUnlinked(deps: PullDeps, pulling: Pulling, digest: Digest): Promise<ManifestAnswer | undefined> {
  const blob = await deps.records.blob(digest);
  const bytes = blob?.state === 'held' ? await deps.store.readSmall(digest, blob.size) : undefined;
  if (bytes === undefined) return undefined;
  const proof = await deps.prover.prove({ kind: 'manifest', ...pulling, digest });
  const manifest = proof.kind === 'proven' ? readManifest(bytes, proof.mediaType) : undefined;
  if (proof.kind !== 'proven' || manifest?.kind !== 'manifest') return undefined;
  const { mediaType } = manifest;
  await linkProven(
    deps.records,
    pulling.holder,
    digest,
    { kind: 'manifest', size: bytes.byteLength, mediaType },
    proof.upstream,
    deps.clock.now(),
  );
  await deps.store.describe(manifest, { repository: pulling.holder, upstream: proof.upstream, public: false });
  return { kind: 'manifest', digest, mediaType, size: bytes.byteLength, bytes, source: { outcome: 'hit' } };
}

/** One fetch for all who want it now; kept where that can be, passed through where it cannot. */
export async function fetchAndKeep(
  deps: PullDeps,
  fetches: Manifests,
  pulling: Pulling,
  reference: Reference,
  deadlineMs = CHAIN_DEADLINE_MS,
): Promise<ManifestAnswer | ManifestRefusal> {
  const text = reference.kind === 'tag' ? reference.tag : reference.digest;
  const key = absenceKey(pulling, text);
  const { value, joined } = await fetches.ask(key, async () => {
    const { route, registry, repository, trace } = pulling;
    const result = await fetchManifest(deps, { route, registry, repository, reference, deadlineMs, trace });
    if (result.kind === 'absent') deps.absences.remember(key, result, route.policy.negativeTtlMs);
    if (result.kind !== 'found') return result;
    return { ...result, stored: await keep(deps, pulling, reference, result) };
  });
  if (value.kind !== 'found') return { kind: 'refused', refusal: value };
  const { manifest, bytes, digest } = value.value;
  const source: Source = joined
    ? { outcome: 'collapsed' }
    : value.stored === true
      ? { outcome: 'miss', upstream: value.upstream.name, stored: true }
      : { outcome: 'bypass', why: 'bypass' };
  return { kind: 'manifest', digest, mediaType: manifest.mediaType, size: bytes.byteLength, bytes, source };
}

/** False when disk or metadata failed: the pull goes on all the same (promise 5). */
async function keep(
  deps: PullDeps,
  { route, holder }: Pulling,
  reference: Reference,
  found: Extract<ChainResult<FetchedManifest>, { kind: 'found' }>,
): Promise<boolean> {
  const { manifest, bytes, digest, anonymous } = found.value;
  const upstream = found.upstream.name;
  try {
    await deps.store.keep(manifest, bytes, digest, { repository: holder, upstream, public: anonymous && route.policy.open });
    if (reference.kind === 'tag') {
      await moveTag(deps, holder, reference.tag, { digest, mediaType: manifest.mediaType, size: bytes.byteLength, upstream });
    }
    return true;
  } catch (error) {
    deps.report({ kind: 'bypass', reason: 'storage', error });
    return false;
  }
}

/** Points the tag at what an upstream just said, and tells of a move. */
export async function moveTag(
  deps: PullDeps,
  holder: string,
  tag: string,
  now: { readonly digest: Digest; readonly mediaType: string; readonly size: number; readonly upstream: string },
): Promise<void> {
  const before = await deps.records.putTag(holder, tag, { ...now, checked: deps.clock.now() });
  if (before === undefined || before === now.digest) return;
  deps.report({ kind: 'tag-moved', repository: holder, tag, from: before, to: now.digest });
}

export function absenceKey({ route, holder }: Pulling, reference: string): string {
  return `${route.name} ${holder} ${reference}`;
}
