import type { BlobStore } from '../blobs/blob-store.ts';
import type { Take } from '../blobs/take.ts';
import { HOSTED, type LinkRecord, type Needed, type Records } from '../metadata/records.ts';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import { readManifest, type Manifest } from '../oci/manifest.ts';
import { isManifestType, isSchema1Type } from '../oci/media-types.ts';
import { referrersTag } from '../oci/reference.ts';
import type { Clock } from '../system/clock.ts';
import type { OfficialDirectory } from './directory.ts';

export interface TakeoverDeps {
  readonly clock: Clock;
  readonly blobs: BlobStore;
  readonly records: Records;
  readonly directory: OfficialDirectory;
  readonly take: Take;
  readonly names: OfficialNames;
}

/** How that registry's repositories are named here, and whose they become. */
export interface OfficialNames {
  /** `local`, `docker.io`: stands before every name. */
  readonly registry: string;
  /** The upstream that is said to have sent it; {@link HOSTED}: it counts as pushed here. */
  readonly upstream: string;
  /** What it took that registry to get it there: where it has an account, nobody knows for what. */
  readonly needed: Needed;
  /** As in `LinkRecord`: others are asked for the same here, and nobody knows which of them sent it. */
  readonly claimed?: boolean;
}

/**
 * How one thing fared. `gone`: it is not there, or was deleted here. `dangling`: the tag points to a manifest that the
 * repository does not hold. `refused`: it is there, and can never be taken.
 */
export type Fate =
  | { readonly kind: 'taken'; readonly how: 'linked' | 'copied' | 'known'; readonly bytes: number }
  | { readonly kind: 'gone' | 'dangling' }
  | Refused;

export interface Refused {
  readonly kind: 'refused';
  readonly why: string;
}

/**
 * Takes single things over from an official registry's data: bytes first, verified, then what grants them (as a push or a
 * pull would). `repository` is that registry's name for it. Each rejects with the error of disk or metadata, and can then be
 * asked again.
 */
export interface Takeover {
  readonly holder: (repository: string) => string;
  /** What it takes counts as pushed here. */
  readonly hosted: boolean;
  /** A manifest, not what it lists. */
  manifest(repository: string, digest: Digest): Promise<Fate>;
  blob(repository: string, digest: Digest): Promise<Fate>;
  /** Bytes that no repository is known to hold: they grant nothing. */
  bytes(digest: Digest): Promise<Fate>;
  /** A tag, with its manifest. */
  tag(repository: string, tag: string): Promise<Fate>;
  /**
   * The manifests that clients listed as a subject's referrers, under the tag that they use where a registry does not list
   * them itself (OCI distribution-spec, "Enabling the Referrers API": those must then be listed).
   */
  referrers(repository: string, subject: Digest): Promise<void>;
}

export function createTakeover(deps: TakeoverDeps): Takeover {
  const holder = (repository: string): string => `${deps.names.registry}/${repository}`;
  return {
    holder,
    hosted: isHosted(deps),
    manifest: (repository, digest) => takeManifest(deps, { repository, holder: holder(repository) }, digest),
    blob: (repository, digest) => takeBlob(deps, { repository, holder: holder(repository) }, digest),
    bytes: (digest) => takeBytes(deps, digest),
    tag: (repository, tag) => takeTag(deps, { repository, holder: holder(repository) }, tag),
    referrers: (repository, subject) => takeReferrers(deps, { repository, holder: holder(repository) }, subject),
  };
}

interface Place {
  /** As that registry names it. */
  readonly repository: string;
  /** As we do, with its registry. */
  readonly holder: string;
}

/** Larger ones no registry takes. */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

const GONE: Fate = { kind: 'gone' };

async function takeBlob(deps: TakeoverDeps, place: Place, digest: Digest): Promise<Fate> {
  const { records, directory, clock } = deps;
  if (!(await directory.links('blob', place.repository, digest))) return GONE;
  if (await records.official.isWithheld(place.holder, digest)) return GONE;
  await hold(deps, place, digest, 'blob');
  const bytes = await takeBytes(deps, digest);
  if (bytes.kind !== 'taken') return notThere(bytes);
  const link = { kind: 'blob', size: bytes.bytes, at: clock.now() } as const;
  if (!isHosted(deps)) await records.putLink(place.holder, digest, { ...link, ...mirrored(deps.names) });
  else if (!(await records.putHostedLink(place.holder, digest, { ...link, by: 'import' }))) throw beingDeleted(digest);
  if (!(await wasDeleted(deps, place, digest))) return bytes;
  await records.dropLink(place.holder, digest);
  return GONE;
}

async function takeManifest(deps: TakeoverDeps, place: Place, digest: Digest): Promise<Fate> {
  const { records, directory } = deps;
  if (!(await directory.links('manifest', place.repository, digest))) return GONE;
  if (await records.official.isWithheld(place.holder, digest)) return GONE;
  await hold(deps, place, digest, 'manifest');
  const bytes = await takeBytes(deps, digest);
  if (bytes.kind !== 'taken') return notThere(bytes);
  const manifest = await read(deps, digest, bytes.bytes);
  if (manifest.kind === 'fault') return { kind: 'refused', why: `as a manifest it is refused: ${manifest.reason}` };
  await (isHosted(deps) ? host : cache)(deps, place, digest, bytes.bytes, manifest);
  if (!(await wasDeleted(deps, place, digest))) return bytes;
  if (isHosted(deps)) await records.dropHosted(place.holder, digest);
  else await records.dropLink(place.holder, digest);
  return GONE;
}

/** Looked for again behind the link: whoever deletes says so first, so that of two that cross one sees the other. */
async function wasDeleted({ records }: TakeoverDeps, { holder }: Place, reference: string): Promise<boolean> {
  return records.official.isWithheld(holder, reference);
}

/** The tag's own time is kept: of mirrored ones when that registry last asked, of pushed ones when they were. */
async function takeTag(deps: TakeoverDeps, place: Place, tag: string): Promise<Fate> {
  const { records, directory, clock } = deps;
  const found = await directory.tag(place.repository, tag);
  if (found === undefined || (await records.official.isWithheld(place.holder, tag))) return GONE;
  const { digest } = found;
  const known = await manifestLink(deps, place, digest);
  const fate: Fate = known === undefined ? await takeManifest(deps, place, digest) : alreadyTaken(known);
  if (fate.kind === 'gone') return (await records.official.isWithheld(place.holder, digest)) ? GONE : { kind: 'dangling' };
  const link = fate.kind === 'taken' ? await manifestLink(deps, place, digest) : undefined;
  if (link === undefined) return fate.kind === 'taken' ? GONE : fate;
  const record = { digest, mediaType: link.mediaType, size: link.size, checked: Math.min(found.at, clock.now()) };
  if (isHosted(deps)) await point(deps, place, tag, link, record);
  else await records.putTag(place.holder, tag, { ...record, upstream: deps.names.upstream, needed: deps.names.needed });
  if (!(await wasDeleted(deps, place, tag))) return fate;
  if (isHosted(deps)) await records.dropHostedTag(place.holder, tag, { ...record, upstream: HOSTED });
  else await records.dropTag(place.holder, tag);
  return GONE;
}

async function takeReferrers(deps: TakeoverDeps, place: Place, subject: Digest): Promise<void> {
  const tag = referrersTag(subject);
  if ((await takeTag(deps, place, tag)).kind !== 'taken') return;
  const record = await deps.records.hostedTag(place.holder, tag);
  const index = record && (await read(deps, record.digest, record.size));
  if (index?.kind !== 'manifest') return;
  for (const { digest } of index.children) {
    if ((await manifestLink(deps, place, digest)) === undefined) await takeManifest(deps, place, digest);
  }
}

function alreadyTaken({ size }: LinkRecord): Fate {
  return { kind: 'taken', how: 'known', bytes: size };
}

type ManifestLink = LinkRecord & { readonly mediaType: string };

/** What came from an upstream grants nothing of what is hosted. */
async function manifestLink(deps: TakeoverDeps, { holder }: Place, digest: Digest): Promise<ManifestLink | undefined> {
  const link = await deps.records.link(holder, digest);
  if (link?.kind !== 'manifest' || link.mediaType === undefined) return undefined;
  const isMirrored = link.by === 'upstream' || link.by === 'public';
  return isMirrored && isHosted(deps) ? undefined : { ...link, mediaType: link.mediaType };
}

/** Before its bytes are here, so that no collection takes what is about to be linked (`metadata/hosted.ts`). */
async function hold(deps: TakeoverDeps, { holder }: Place, digest: Digest, kind: 'manifest' | 'blob'): Promise<void> {
  const by = isHosted(deps) ? 'import' : 'upstream';
  if (!(await deps.records.hold(holder, digest, { kind, by }))) throw beingDeleted(digest);
}

async function takeBytes({ records, directory, take, clock, names }: TakeoverDeps, digest: Digest): Promise<Fate> {
  const taken = await take(digest, directory.data(digest));
  if (taken.kind === 'absent') return GONE;
  if (taken.kind === 'wrong') return { kind: 'refused', why: 'its bytes are damaged: they are not those of this digest' };
  const { size } = taken;
  const before = await records.blob(digest);
  if (before?.state !== 'held' || before.size !== size) {
    const { registry, upstream, claimed } = names;
    const brought = isHosted({ names }) || claimed === true ? {} : { brought: { registry, upstream } };
    const record = { size, public: before?.public === true, state: 'held', at: clock.now(), ...brought } as const;
    const written = await records.putBlob(digest, record);
    if (!written) throw beingDeleted(digest);
  }
  return { kind: 'taken', how: taken.kind === 'held' ? 'known' : taken.kind, bytes: size };
}

/** What a repository there holds, and nobody has the bytes of. */
function notThere(fate: Fate): Fate {
  return fate.kind === 'gone' ? { kind: 'refused', why: 'its bytes are not there' } : fate;
}

/** A deletion takes a moment: whoever asks again finds it done. */
function beingDeleted(digest: Digest): RegistryError {
  return new RegistryError('UNAVAILABLE', `${digest} is being deleted here just now: ask again`, {
    status: 503,
    headers: { 'retry-after': '1' },
  });
}

type ReadManifest = Manifest | { readonly kind: 'fault'; readonly reason: string };

async function read({ blobs }: TakeoverDeps, digest: Digest, size: number): Promise<ReadManifest> {
  if (size > MANIFEST_BYTES_MAX) return { kind: 'fault', reason: `it has ${size} bytes` };
  const file = await blobs.open(digest);
  if (file === undefined) return { kind: 'fault', reason: 'its bytes have gone' };
  const bytes = new Uint8Array(size);
  try {
    for (let at = 0, count = 1; at < size && count > 0; at += count) count = await file.read(bytes.subarray(at), at);
  } finally {
    file.close();
  }
  // What was held before may have been damaged since.
  if (digestOf(bytes, algorithmOf(digest)) !== digest)
    return { kind: 'fault', reason: 'its bytes are not those of its digest' };
  const manifest = readManifest(bytes, undefined);
  if (manifest.kind === 'fault') return manifest;
  const { mediaType } = manifest;
  if (isSchema1Type(mediaType)) return { kind: 'fault', reason: 'schema 1 is not served any more' };
  return isManifestType(mediaType) ? manifest : { kind: 'fault', reason: `${mediaType} is no type of manifest` };
}

async function host(
  { records, clock }: TakeoverDeps,
  { holder }: Place,
  digest: Digest,
  size: number,
  manifest: Manifest,
): Promise<void> {
  const at = clock.now();
  const { mediaType, subject, artifactType, annotations } = manifest;
  const referrer = {
    mediaType,
    size,
    artifactType,
    annotations: annotations.size === 0 ? undefined : Object.fromEntries(annotations),
  };
  const { kind } = await records.putHosted(holder, {
    digest,
    link: { kind: 'manifest', size, mediaType, by: 'import', at },
    described: describedBy(manifest),
    // What it lists is taken over when it is asked for, or by the import: it may never be.
    needs: [],
    tags: [],
    immutable: () => false,
    at,
    ...(subject === undefined ? {} : { subject: subject.digest, referrer }),
  });
  if (kind !== 'done') throw beingDeleted(digest);
}

/** Points a tag at a manifest that is linked already, unless somebody has pushed it meanwhile: as a tag that may not move. */
async function point(
  { records }: TakeoverDeps,
  { holder }: Place,
  tag: string,
  { size, mediaType, subject, by, at }: ManifestLink,
  record: { readonly digest: Digest; readonly checked: number },
): Promise<void> {
  const { kind } = await records.putHosted(holder, {
    digest: record.digest,
    link: { kind: 'manifest', size, mediaType, by: by === 'upstream' || by === 'public' ? 'import' : by, at },
    described: [],
    needs: [],
    tags: [tag],
    immutable: () => true,
    at: record.checked,
    ...(subject === undefined ? {} : { subject }),
  });
  if (kind === 'unheld') throw beingDeleted(record.digest);
}

/** Nobody knows with whose credentials that registry fetched it: so nothing of it counts as public. */
async function cache(
  { records, clock, names }: TakeoverDeps,
  { holder }: Place,
  digest: Digest,
  size: number,
  manifest: Manifest,
): Promise<void> {
  const { mediaType } = manifest;
  await records.putDescribed(holder, describedBy(manifest));
  await records.putLink(holder, digest, {
    kind: 'manifest',
    size,
    mediaType,
    ...mirrored(names),
    at: clock.now(),
  });
}

function mirrored({ upstream, needed, claimed }: OfficialNames): Pick<LinkRecord, 'by' | 'upstream' | 'needed' | 'claimed'> {
  return { by: 'upstream', upstream, needed, ...(claimed === true ? { claimed } : {}) };
}

function describedBy({ children, blobs }: Manifest) {
  return [...children, ...blobs].map(({ digest, size, mediaType }) => ({ digest, record: { size, mediaType, public: false } }));
}

function isHosted({ names }: Pick<TakeoverDeps, 'names'>): boolean {
  return names.upstream === HOSTED;
}
