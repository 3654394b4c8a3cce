import type { BlobStore } from '../../src/blobs/blob-store.ts';
import type { Records, ReferrerRecord } from '../../src/metadata/records.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { MEDIA_TYPE, manifestBlob, descriptorOf, blobOf, type Blob, type Image, type ManifestBlob } from './images.ts';
import { createSeededRandom } from './seeded-random.ts';
import type { Clock } from '../../src/system/clock.ts';
import { randomId } from '../../src/system/random.ts';

/** Where pushes are kept. */
export interface PushedTo {
  readonly records: Records;
  readonly blobs: BlobStore;
  readonly clock: Pick<Clock, 'now'>;
}

const random = createSeededRandom(77);

/** What a push leaves behind, without one: bytes first, then what names them. `repository` with its registry. */
export async function pushImage(to: PushedTo, repository: string, tags: readonly string[], image: Image): Promise<void> {
  for (const blob of [...image.layers, ...image.configs]) await pushBlob(to, repository, blob);
  const needs = [...image.layers, ...image.configs].map(({ digest }) => digest);
  for (const manifest of image.manifests)
    await pushManifest(to, repository, manifest === image.top ? tags : [], manifest, needs);
  if (image.index !== undefined)
    await pushManifest(
      to,
      repository,
      tags,
      image.index,
      image.manifests.map(({ digest }) => digest),
    );
}

export async function pushBlob(to: PushedTo, repository: string, blob: Blob): Promise<void> {
  const at = to.clock.now();
  await write(to, repository, blob, 'blob', at);
  const linked = await to.records.putHostedLink(repository, blob.digest, { kind: 'blob', size: blob.size, by: 'push', at });
  if (!linked) throw new Error('the bytes of a blob that was pushed are not held');
}

export async function pushManifest(
  to: PushedTo,
  repository: string,
  tags: readonly string[],
  { digest, size, bytes, mediaType }: ManifestBlob,
  needs: readonly Digest[],
  about?: { readonly subject: Digest; readonly referrer: ReferrerRecord },
): Promise<void> {
  const at = to.clock.now();
  await write(to, repository, { digest, size, bytes }, 'manifest', at);
  const put = await to.records.putHosted(repository, {
    digest,
    link: { kind: 'manifest', size, mediaType, by: 'push', at },
    described: [],
    needs,
    tags,
    immutable: () => false,
    at,
    ...about,
  });
  if (put.kind !== 'done') throw new Error(`a manifest that was pushed is ${put.kind}`);
}

/** A manifest that names a subject, `size` of whose annotations are made up. */
export async function pushReferrer(
  to: PushedTo,
  repository: string,
  subject: ManifestBlob,
  artifactType: string,
  label: string,
): Promise<ManifestBlob> {
  const empty = blobOf(Buffer.from('{}'));
  await pushBlob(to, repository, empty);
  const annotations = { label };
  const manifest = manifestBlob(MEDIA_TYPE.ociManifest, {
    artifactType,
    config: descriptorOf(empty, 'application/vnd.oci.empty.v1+json'),
    layers: [],
    subject: descriptorOf(subject, subject.mediaType),
    annotations,
  });
  const referrer = { mediaType: manifest.mediaType, size: manifest.size, artifactType, annotations };
  await pushManifest(to, repository, [], manifest, [empty.digest], { subject: subject.digest, referrer });
  return manifest;
}

async function write({ records, blobs }: PushedTo, repository: string, blob: Blob, kind: 'manifest' | 'blob', at: number) {
  if (!(await records.hold(repository, blob.digest, { kind, by: 'push' }))) throw new Error('it is being deleted');
  const part = await blobs.part(randomId(random), false);
  await part.write(blob.bytes, 0);
  await part.publish(blob.digest);
  part.release();
  await records.putBlob(blob.digest, { size: blob.size, public: false, state: 'held', at });
}
