import type { BlobStore } from '../blobs/blob-store.ts';
import type { Records, TagRecord } from '../metadata/records.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { readContents, type Contents } from './contents.ts';

/** What is held of one image. Times are ISO 8601. */
export interface HeldImage {
  readonly tag: HeldTag | undefined;
  readonly digest: Digest | undefined;
  /** False: the manifest's bytes are not there, whatever the tag says. */
  readonly manifestHeld: boolean;
  /** Of an index one for each manifest that it names; of a single image one. */
  readonly platforms: readonly HeldPlatform[];
  readonly lastUse: string | undefined;
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
  if (digest === undefined || (await records.link(repository, digest)) === undefined) {
    return { tag, digest, manifestHeld: false, platforms: [], lastUse: undefined, pulls };
  }
  const contents = await contentsOf(options, digest);
  const lastUse = iso(await records.lastUse(digest));
  return {
    tag,
    digest,
    manifestHeld: contents !== undefined,
    platforms: await platformsOf(options, digest, contents),
    lastUse,
    pulls,
  };
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

async function platformsOf(options: HeldOptions, digest: Digest, contents: Contents | undefined): Promise<HeldPlatform[]> {
  if (contents === undefined) return [];
  if (contents.manifests.length === 0) return [await platformOf(options, 'this image', digest)];
  const platforms: HeldPlatform[] = [];
  for (const child of contents.manifests) platforms.push(await platformOf(options, child.platform, child.digest));
  return platforms;
}

async function platformOf(options: HeldOptions, platform: string, digest: Digest): Promise<HeldPlatform> {
  const contents = await contentsOf(options, digest);
  const blobs = contents?.blobs ?? [];
  const missing: Digest[] = [];
  for (const blob of blobs) if (!(await isHeld(options.blobs, blob))) missing.push(blob);
  return { platform, digest, manifestHeld: contents !== undefined, blobs: blobs.length, missing };
}

async function isHeld(blobs: BlobStore, digest: Digest): Promise<boolean> {
  const open = await blobs.open(digest);
  open?.close();
  return open !== undefined;
}

/** Larger ones are refused on their way in (OCI distribution-spec, "Pushing Manifests": 4 MiB at least). */
const MANIFEST_BYTES_MAX = 8 * 1024 * 1024;

async function contentsOf(options: HeldOptions, digest: Digest): Promise<Contents | undefined> {
  const open = await options.blobs.open(digest);
  if (open === undefined) return undefined;
  try {
    const bytes = new Uint8Array(Math.min(open.size, MANIFEST_BYTES_MAX));
    let at = 0;
    while (at < bytes.length) {
      const count = await open.read(bytes.subarray(at), at);
      if (count === 0) break;
      at += count;
    }
    return readContents(bytes.subarray(0, at));
  } finally {
    open.close();
  }
}
