import type { CacheControl } from './cache.ts';
import type { BlobStore, OpenBlob } from '../blobs/blob-store.ts';
import type { Records, TagRecord } from '../metadata/records.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { readManifest, type Manifest } from '../oci/manifest.ts';
import type { Clock } from '../system/clock.ts';
import { readFully } from '../system/read-fully.ts';

/** What is held of one image. Times are ISO 8601. */
export interface HeldImage {
  readonly tag: HeldTag | undefined;
  readonly digest: Digest | undefined;
  /** False: the manifest's bytes are not there, whatever the tag says. */
  readonly manifestHeld: boolean;
  /** Of an index one for each manifest that it names; of a single image one. */
  readonly platforms: readonly HeldPlatform[];
  readonly lastUse: string | undefined;
  /** Of all that is held of it. */
  readonly bytes: number;
  readonly pulls: number;
}

export interface HeldTag {
  readonly digest: Digest;
  readonly checked: string;
  readonly ageMs: number;
  /** Until it is asked for again; negative: for how long it has been stale. `undefined` where no route gives a ttl. */
  readonly ttlMs: number | undefined;
  readonly upstream: string;
  /** When asking last failed. */
  readonly failed: string | undefined;
  /** When an upstream said that it is gone. */
  readonly gone: string | undefined;
}

export interface HeldPlatform {
  /** `linux/arm64/v8`; `unknown` where the index does not say. */
  readonly platform: string;
  readonly digest: Digest;
  readonly manifestHeld: boolean;
  readonly blobs: number;
  /** Of those blobs; a manifest that is not held names none. */
  readonly missing: readonly Digest[];
}

export interface HeldOptions {
  readonly cache: Pick<CacheControl, 'imageBytes'>;
  readonly records: Records;
  readonly blobs: BlobStore;
  readonly clock: Clock;
}

export interface HeldQuestion {
  /** With its registry. */
  readonly repository: string;
  readonly reference: string;
  readonly tagttlMs: number | undefined;
}

export async function inspectHeld(options: HeldOptions, question: HeldQuestion): Promise<HeldImage> {
  const { records } = options;
  const { repository, reference } = question;
  const asDigest = parseDigest(reference);
  const record = asDigest === undefined ? await records.tag(repository, reference) : undefined;
  const digest = asDigest ?? record?.digest;
  const tag = record && heldTag(record, options.clock.now(), question.tagttlMs);
  const pulls = (await records.pulls(repository))?.pulls ?? 0;
  // Bytes that another repository brought are not this one's (promise 9): the link decides.
  const link = digest === undefined ? undefined : await records.link(repository, digest);
  if (digest === undefined || link === undefined) {
    return { tag, digest, manifestHeld: false, platforms: [], lastUse: undefined, bytes: 0, pulls };
  }
  const manifest = await manifestOf(options, digest, record?.mediaType ?? link.mediaType);
  const platforms = await platformsOf(options, digest, manifest);
  const lastUse = iso(await records.lastUse(digest));
  const bytes = await options.cache.imageBytes(repository, digest);
  return { tag, digest, manifestHeld: manifest !== undefined, platforms, lastUse, bytes, pulls };
}

function heldTag(record: TagRecord, now: number, tagttlMs: number | undefined): HeldTag {
  const ageMs = now - record.checked;
  return {
    digest: record.digest,
    checked: new Date(record.checked).toISOString(),
    ageMs,
    ttlMs: tagttlMs === undefined || !Number.isFinite(tagttlMs) ? undefined : tagttlMs - ageMs,
    upstream: record.upstream,
    failed: iso(record.failed),
    gone: iso(record.gone),
  };
}

function iso(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}

async function platformsOf(options: HeldOptions, digest: Digest, manifest: Manifest | undefined): Promise<HeldPlatform[]> {
  if (manifest === undefined) return [];
  if (manifest.children.length === 0) return [await platformOf(options, 'this image', digest, manifest)];
  const platforms: HeldPlatform[] = [];
  for (const child of manifest.children) {
    const held = await manifestOf(options, child.digest, child.mediaType);
    platforms.push(await platformOf(options, child.platform ?? 'unknown', child.digest, held));
  }
  return platforms;
}

async function platformOf(
  options: HeldOptions,
  platform: string,
  digest: Digest,
  manifest: Manifest | undefined,
): Promise<HeldPlatform> {
  const blobs = [...new Set(manifest?.blobs.map((blob) => blob.digest))];
  const missing: Digest[] = [];
  for (const blob of blobs) if (!(await isHeld(options.blobs, blob))) missing.push(blob);
  return { platform, digest, manifestHeld: manifest !== undefined, blobs: blobs.length, missing };
}

async function isHeld(blobs: BlobStore, digest: Digest): Promise<boolean> {
  const open = await blobs.open(digest);
  open?.close();
  return open !== undefined;
}

/** Larger ones are refused on their way in (OCI distribution-spec, "Pushing Manifests": 4 MiB at least). */
const MANIFEST_BYTES_MAX = 8 * 1024 * 1024;

/** Of bytes that were verified when they were stored: what is no manifest any more counts as not held. */
async function manifestOf(options: HeldOptions, digest: Digest, mediaType: string | undefined): Promise<Manifest | undefined> {
  const open = await options.blobs.open(digest);
  if (open === undefined) return undefined;
  try {
    const read = readManifest(await bytesOf(open), mediaType);
    return read.kind === 'manifest' ? read : undefined;
  } finally {
    open.close();
  }
}

async function bytesOf(open: OpenBlob): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.min(open.size, MANIFEST_BYTES_MAX));
  return bytes.subarray(0, await readFully(open, bytes));
}
