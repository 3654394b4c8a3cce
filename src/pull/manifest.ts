import type { TagRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import { readManifest } from '../oci/manifest.ts';
import { referenceText, type Reference } from '../oci/reference.ts';
import { NEGATIVE_STATUS, type Source } from './cache-status.ts';
import { CHAIN_DEADLINE_MS, type ChainResult } from './chain.ts';
import type { Collapse } from './collapse.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { fetchManifest, type FetchedManifest } from './fetch-manifest.ts';
import { askedAt } from './freshness.ts';
import { counts, isNobody, namesOf } from './givers.ts';
import { neededFor } from './granting.ts';
import { lookupManifest, type ManifestLink } from './lookup.ts';
import { linkProven } from './prove.ts';
import type { Refusal, Tried } from './refusal.ts';
import { keyOf } from './route.ts';
import { troubleOf } from './trouble.ts';
import { within } from './within.ts';

/** A manifest to answer with; without `bytes` where a HEAD needed none. */
export interface ManifestAnswer {
  readonly kind: 'manifest';
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly bytes: Uint8Array | undefined;
  readonly source: Source;
  /** Asked in vain before an upstream answered; none where nobody was asked. */
  readonly tried?: readonly Tried[];
  /** When that was asked which an upstream has answered so, on the monotonic clock; none where nobody was asked. */
  readonly asked?: number;
  /** It was pushed here, and no upstream has to do with it. */
  readonly hosted?: true;
}

/** What is here of a manifest, whoever asks. */
export type HeldManifest = Omit<ManifestAnswer, 'source' | 'tried' | 'asked' | 'hosted'>;

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
  const held = await readHeld(deps, pulling, digest, await lookupManifest(deps, pulling, digest));
  if (held !== undefined) return { ...held, source: { outcome: 'hit' } };
  const key = absenceKey(pulling, 'manifest', digest);
  const absence = deps.absences.get(key);
  if (absence !== undefined) return { kind: 'refused', refusal: absence, cacheStatus: NEGATIVE_STATUS };
  const unlinked = await showUnlinked(deps, pulling, digest);
  if (unlinked === undefined) return fetchAndKeep(deps, fetches, pulling, { kind: 'digest', digest });
  if (unlinked.kind === 'refused' && unlinked.refusal.kind === 'absent')
    deps.absences.remember(key, unlinked.refusal, pulling.route.policy.negativeTtlMs);
  return unlinked;
}

/** Bytes for a link; nothing where there is no link, or the bytes have gone. HEAD needs none but that they are there. */
export async function readHeld(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
  link: ManifestLink | undefined,
): Promise<HeldManifest | undefined> {
  if (link === undefined) return undefined;
  const bytes = await deps.store.read(digest, link.size);
  if (bytes === undefined) return undefined;
  const { mediaType, size } = link;
  return { kind: 'manifest', digest, mediaType, size, bytes: pulling.method === 'HEAD' ? undefined : bytes };
}

/**
 * The bytes came through another repository: an upstream has to say that this one holds them too. `undefined`: none here, or none
 * that its word would open.
 */
async function showUnlinked(
  deps: PullDeps,
  pulling: Pulling,
  digest: Digest,
): Promise<ManifestAnswer | ManifestRefusal | undefined> {
  const blob = await deps.records.blob(digest);
  const bytes = blob?.state === 'held' ? await deps.store.readSmall(digest, blob.size) : undefined;
  if (blob === undefined || bytes === undefined) return undefined;
  const given = await deps.givers.of(pulling.holder, digest, blob);
  if (isNobody(given)) return undefined;
  const proof = await deps.prover.prove({ kind: 'manifest', ...pulling, digest }, namesOf(given));
  if (proof.kind !== 'proven') return { kind: 'refused', refusal: proof };
  if (!counts(given, proof.upstream)) return undefined;
  const manifest = readManifest(bytes, proof.mediaType);
  if (manifest.kind !== 'manifest') return undefined;
  const { mediaType } = manifest;
  const link = { kind: 'manifest', size: bytes.byteLength, mediaType, claimed: given === 'anybody' } as const;
  await linkProven(deps, pulling, digest, link, proof);
  const isPublic = proof.anonymous && pulling.route.policy.open;
  await deps.store.describe(manifest, { repository: pulling.holder, public: isPublic });
  return { kind: 'manifest', digest, mediaType, size: bytes.byteLength, bytes, source: { outcome: 'hit' } };
}

/** One fetch for all who want it now; kept where that can be, passed through where it cannot. */
export async function fetchAndKeep(
  deps: PullDeps,
  fetches: Manifests,
  pulling: Pulling,
  reference: Reference,
  mayKeep = true,
): Promise<ManifestAnswer | ManifestRefusal> {
  const text = referenceText(reference);
  const key = absenceKey(pulling, 'manifest', text);
  const { route, registry, repository } = pulling;
  const fetch = async (signal: AbortSignal) => {
    const ask = { route, registry, repository, reference, deadlineMs: CHAIN_DEADLINE_MS, signal };
    const result = await fetchManifest(deps, ask);
    if (result.kind === 'absent') deps.absences.remember(key, result, route.policy.negativeTtlMs);
    if (result.kind !== 'found') return result;
    return { ...result, stored: mayKeep && !deps.fills.inTrouble() && (await keepInTime(deps, pulling, reference, result)) };
  };
  const { value, joined } = await fetches.ask(key, fetch, route.via);
  if (value.kind !== 'found') return { kind: 'refused', refusal: value };
  const { manifest, bytes, digest } = value.value;
  const source: Source = joined
    ? { outcome: 'collapsed' }
    : value.stored === true
      ? { outcome: 'miss', upstream: value.upstream.name, stored: true }
      : { outcome: 'bypass', why: 'bypass' };
  const { mediaType } = manifest;
  const { tried, asked } = value;
  return { kind: 'manifest', digest, mediaType, size: bytes.byteLength, bytes, source, tried, asked };
}

/** A disk that takes longer to keep a manifest is not waited for: clients wait for the answer. */
const KEEP_MS = 5_000;

/** False when disk or metadata failed, or took too long: the pull goes on all the same (promise 5). */
async function keepInTime(...asked: Parameters<typeof keep>): Promise<boolean> {
  const [deps, { registry }, , { value }] = asked;
  const kept = await within(deps.clock, deps.unowned.track(keep(...asked)), KEEP_MS);
  if (kept !== undefined) return kept;
  const error = Object.assign(new Error(`the manifest was not kept within ${KEEP_MS / 1000} s`), { code: 'ETIMEDOUT' });
  deps.fills.noteTrouble({ registry, digest: value.digest }, error);
  deps.report({ kind: 'bypass', reason: 'storage', error });
  return false;
}

async function keep(
  deps: PullDeps,
  { route, registry, holder }: Pulling,
  reference: Reference,
  found: Extract<ChainResult<FetchedManifest>, { kind: 'found' }>,
): Promise<boolean> {
  const { manifest, bytes, digest, anonymous } = found.value;
  const upstream = found.upstream.name;
  try {
    const needed = neededFor(route, anonymous);
    const isPublic = anonymous && route.policy.open;
    const provenance = { repository: holder, upstream, public: isPublic, needed };
    await deps.store.keep(manifest, bytes, digest, provenance);
    if (reference.kind === 'tag') {
      const { mediaType } = manifest;
      const { asked } = found;
      await moveTag(deps, holder, reference.tag, { digest, mediaType, size: bytes.byteLength, upstream, needed, asked });
    }
    return true;
  } catch (error) {
    const reason = troubleOf(error);
    if (reason === 'storage') deps.fills.noteTrouble({ registry, digest }, error);
    deps.report({ kind: 'bypass', reason, error });
    return false;
  }
}

/** What an upstream said of a tag, and when it was asked, on the monotonic clock. */
export type Said = Pick<TagRecord, 'digest' | 'mediaType' | 'size' | 'upstream' | 'needed'> & { readonly asked: number };

/** Points the tag at what an upstream said, unless what stands was asked for later, and tells of a move. */
export async function moveTag(deps: PullDeps, holder: string, tag: string, { asked, ...said }: Said): Promise<void> {
  const { records, clock, report } = deps;
  const before = await records.putTag(holder, tag, { ...said, checked: askedAt(clock, asked) }, clock.now());
  if (before === undefined || before === said.digest) return;
  report({ kind: 'tag-moved', repository: holder, tag, from: before, to: said.digest });
}

/** A digest that is no manifest may well be a blob: containerd asks for both (protocol.md, statement 84). */
export function absenceKey({ route, holder }: Pulling, kind: 'manifest' | 'blob', reference: string): string {
  return `${keyOf(route)} ${kind} ${holder} ${reference}`;
}
