import type { BlobStore } from '../blobs/blob-store.ts';
import type { Change, Reference } from '../events/change.ts';
import type { RequestEvent, RequestTrace } from '../observe/events.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { readManifest } from '../oci/manifest.ts';
import { parseTag } from '../oci/reference.ts';
import { readFully } from '../system/read-fully.ts';

/** More is no manifest that anybody serves. */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

/** What a served request is, as a change; the rest is looked up where somebody is to be told. */
export type Pull = Pick<Change, 'kind' | 'holder' | 'tag' | 'size'> & { readonly digest: Digest };

const SERVED: ReadonlySet<RequestTrace['outcome']> = new Set([
  'hit',
  'miss',
  'collapsed',
  'revalidated',
  'stale',
  'bypass',
] as const);

/** A GET whose content left whole; a range counts as the official registry counts it, a HEAD fetches nothing. */
export function pullOf({ method, status, aborted, trace }: RequestEvent): Pull | undefined {
  const { type, outcome, registry, repository, reference, size } = trace;
  if (method !== 'GET' || (status !== 200 && status !== 206) || aborted || !SERVED.has(outcome)) return undefined;
  const digest = parseDigest(trace.digest ?? '');
  if (type === undefined || registry === undefined || repository === undefined || digest === undefined) return undefined;
  const tag = type === 'manifest' && reference !== undefined ? parseTag(reference) : undefined;
  return { kind: type, holder: `${registry}/${repository}`, digest, tag, size };
}

/** What a held manifest names; `undefined` where it cannot be read, since an event is told all the same. */
export async function referencesOf(
  blobs: BlobStore,
  digest: Digest,
  mediaType: string | undefined,
): Promise<readonly Reference[] | undefined> {
  const file = await blobs.open(digest).catch(() => undefined);
  if (file === undefined || file.size > MANIFEST_BYTES_MAX) return void file?.close();
  try {
    const bytes = Buffer.alloc(file.size);
    await readFully(file, bytes);
    const manifest = readManifest(bytes, mediaType);
    return manifest.kind === 'manifest' ? [...manifest.blobs, ...manifest.children] : undefined;
  } catch {
    return undefined;
  } finally {
    file.close();
  }
}
