import { publishBytes } from '../blobs/blob-store.ts';
import type { HostedResult } from '../metadata/records.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import { RegistryError } from '../oci/errors.ts';
import type { Manifest } from '../oci/manifest.ts';
import { parseTag, type Reference } from '../oci/reference.ts';
import { readPushedManifest } from '../oci/pushed-manifest.ts';
import { created } from './answers.ts';
import type { BodyMemory } from './body-memory.ts';
import { readBody } from './body.ts';
import type { PushDeps } from './deps.ts';
import { deletedMeanwhile, holdDigest, recordHeld } from './hold.ts';
import { checkUrls, needsOf, wantsOf } from './manifest-rules.ts';
import type { Quotas } from './quota.ts';
import { tell } from './tell.ts';
import type { PushReply, Pushing } from './request.ts';
import { checkRoom } from './room.ts';

/** As what is pulled: clients and registries "SHOULD expect to be able to support" four megabytes. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

/** Of one request; the specification asks for at least ten. */
export const TAGS_MAX = 100;

/** A push whose bytes a deletion takes away under it writes them again, so often. */
const WRITES_MAX = 3;

/**
 * 201: a manifest, kept byte for byte, with all its tags and its place among the referrers of its subject, in one commit
 * (OCI distribution-spec, "Pushing Manifests"). What it needs must be here; its subject need not. Throws RegistryError.
 */
export async function putManifest(
  deps: PushDeps,
  { quotas, memory }: { readonly quotas: Quotas; readonly memory: BodyMemory },
  pushing: Pushing,
  reference: Reference,
): Promise<PushReply> {
  let held = 0;
  const take = (bytes: number): void => {
    memory.take(bytes);
    held += bytes;
  };
  try {
    return await put(deps, quotas, pushing, { reference, take });
  } finally {
    memory.give(held);
  }
}

interface Asked {
  readonly reference: Reference;
  /** Told of each piece of the body before it is kept. */
  readonly take: (bytes: number) => void;
}

async function put(deps: PushDeps, quotas: Quotas, pushing: Pushing, { reference, take }: Asked): Promise<PushReply> {
  const { request } = pushing;
  const added = addedTags(request.query);
  await checkRoom(deps, request.body.length);
  await deps.admit(pushing);
  const bytes = await readManifestBody(pushing, take);
  const manifest = readPushedManifest(bytes, request.contentType);
  if (manifest.kind === 'fault') throw new RegistryError('MANIFEST_INVALID', `the manifest is refused: ${manifest.reason}`);
  const rules = deps.rules();
  checkUrls(manifest, rules);
  const digest = checkDigest(bytes, reference);
  request.trace.digest = digest;
  request.trace.size = bytes.byteLength;
  const tags = [...new Set([...(reference.kind === 'tag' ? [reference.tag] : []), ...added])];
  const pushed = { manifest, bytes, digest, tags, needs: needsOf(manifest, rules), wants: wantsOf(manifest, rules) };
  const contents = [{ digest, size: bytes.byteLength }, ...pushed.needs];
  const bytesAdded = (): Promise<number> => quotas.added(pushing, contents);
  const moved = await quotas.during(pushing, `${pushing.holder} ${digest}`, bytesAdded, () => keep(deps, pushing, pushed));
  await tellAll(deps, pushing, pushed, moved);
  return created(pushing.name, 'manifests', digest, {
    ...(manifest.subject === undefined ? {} : { 'oci-subject': manifest.subject.digest }),
    ...(added.length === 0 ? {} : { 'oci-tag': added.join(', ') }),
  });
}

interface Pushed {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly tags: readonly string[];
  /** What must be here, and what stays if it is. */
  readonly needs: readonly Descriptor[];
  readonly wants: readonly Descriptor[];
}

function addedTags(query: URLSearchParams): readonly string[] {
  const tags = [...new Set(query.getAll('tag'))];
  if (tags.length > TAGS_MAX) {
    throw new RegistryError('TAG_INVALID', `more than ${TAGS_MAX} tags in one request`, { status: 414 });
  }
  const wrong = tags.find((tag) => parseTag(tag) === undefined);
  if (wrong === undefined) return tags;
  throw new RegistryError('TAG_INVALID', `"${wrong.slice(0, 200)}" can be no tag: a tag is 1 to 128 of A-Z a-z 0-9 _ . -`);
}

async function readManifestBody({ request }: Pushing, take: Asked['take']): Promise<Uint8Array> {
  const bytes = await readBody(request.body, MANIFEST_BYTES_MAX, take);
  if (bytes !== undefined) return bytes;
  throw new RegistryError('SIZE_INVALID', `a manifest has at most ${MANIFEST_BYTES_MAX} bytes`, { status: 413 });
}

function checkDigest(bytes: Uint8Array, reference: Reference): Digest {
  if (reference.kind === 'tag') return digestOf(bytes);
  const actual = digestOf(bytes, algorithmOf(reference.digest));
  if (actual === reference.digest) return actual;
  throw new RegistryError('DIGEST_INVALID', `the manifest has the digest ${actual}, not ${reference.digest}`);
}

type Moved = Extract<HostedResult, { kind: 'done' }>['moved'];

/** Bytes first, then what refers to them. Durable when it resolves. */
async function keep(deps: PushDeps, pushing: Pushing, pushed: Pushed): Promise<Moved> {
  const { records, report } = deps;
  await deps.adopt(pushing, pushed.needs);
  for (let written = 0; written < WRITES_MAX; written += 1) {
    if (!(await write(deps, pushing, pushed))) continue;
    const result = await link(deps, pushing, pushed);
    if (result.kind === 'unheld') continue;
    if (result.kind !== 'done') throw refused(result);
    await records.flushed();
    report({ kind: 'kept', digest: pushed.digest, bytes: pushed.bytes.byteLength });
    return result.moved;
  }
  throw deletedMeanwhile(pushed.digest);
}

/** False where the bytes were deleted meanwhile. */
async function write(deps: PushDeps, { holder }: Pushing, { bytes, digest }: Pushed): Promise<boolean> {
  await holdDigest(deps, holder, digest, { kind: 'manifest', by: 'push' });
  await publishBytes(deps, digest, bytes);
  return recordHeld(deps, digest, bytes.byteLength);
}

async function link({ records, clock }: PushDeps, { holder, route }: Pushing, pushed: Pushed): Promise<HostedResult> {
  const { manifest, bytes, digest, tags } = pushed;
  const { mediaType, subject, artifactType, annotations } = manifest;
  const [size, at] = [bytes.byteLength, clock.now()];
  const children = [...manifest.children, ...manifest.blobs];
  return records.putHosted(holder, {
    digest,
    link: { kind: 'manifest', size, mediaType, by: 'push', at },
    described: children.map((child) => ({
      digest: child.digest,
      record: { size: child.size, mediaType: child.mediaType, public: false },
    })),
    needs: pushed.needs.map((need) => need.digest),
    wants: pushed.wants.map((want) => want.digest),
    tags,
    immutable: route.policy.immutable,
    at,
    ...(subject === undefined
      ? {}
      : {
          subject: subject.digest,
          referrer: {
            mediaType,
            size,
            artifactType,
            annotations: annotations.size === 0 ? undefined : Object.fromEntries(annotations),
          },
        }),
  });
}

/**
 * OCI distribution-spec, "Push": what refers to something that is not there is MANIFEST_BLOB_UNKNOWN. A tag that may not
 * move is 409: the same request will not succeed, and it is no matter of who asks, though no code but DENIED fits it.
 */
function refused(result: Extract<HostedResult, { kind: 'immutable' | 'missing' }>): RegistryError {
  if (result.kind === 'missing') {
    const message = `the manifest names ${result.digest}, which is not in this repository`;
    return new RegistryError('MANIFEST_BLOB_UNKNOWN', message, { detail: { digest: result.digest } });
  }
  const message = `the tag ${result.tag} is immutable here, and names another manifest`;
  return new RegistryError('DENIED', message, { status: 409, detail: { tag: result.tag } });
}

async function tellAll(deps: PushDeps, pushing: Pushing, pushed: Pushed, moved: Moved): Promise<void> {
  const { manifest, digest, tags, bytes } = pushed;
  for (const { tag, from } of moved) {
    if (from !== undefined) deps.report({ kind: 'tag-moved', repository: pushing.holder, tag, from, to: digest });
  }
  const references = [...manifest.children, ...manifest.blobs].map((one) => ({
    mediaType: one.mediaType,
    digest: one.digest,
    size: one.size,
  }));
  const { mediaType } = manifest;
  const told = { action: 'push', kind: 'manifest', digest, mediaType, size: bytes.byteLength, references } as const;
  if (tags.length === 0) await tell(deps, pushing, told);
  for (const tag of tags) await tell(deps, pushing, { ...told, tag });
}
