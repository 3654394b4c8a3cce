import type { Digest } from '../../src/oci/digest.ts';
import type { Reply } from '../fakes/http-client.ts';
import type { Blob, Image, ManifestBlob } from '../fakes/images.ts';
import type { Running } from './running.ts';

/** What a client that pushes uses of a server. */
export type PushedTo = Pick<Running, 'get' | 'head'>;

/** A blob in one POST, where it is not there already; `path`: `/v2/team/app`. */
export async function pushBlob(server: PushedTo, path: string, { digest, bytes }: Blob): Promise<Reply> {
  const there = await server.head(`${path}/blobs/${digest}`);
  if (there.status === 200) return there;
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(bytes.length) };
  return server.get(`${path}/blobs/uploads/?digest=${encodeURIComponent(digest)}`, { method: 'POST', headers, body: bytes });
}

export async function pushManifest(
  server: PushedTo,
  path: string,
  reference: string | Digest,
  { bytes, mediaType }: ManifestBlob,
): Promise<Reply> {
  const headers = { 'content-type': mediaType, 'content-length': String(bytes.length) };
  return server.get(`${path}/manifests/${reference}`, { method: 'PUT', headers, body: bytes });
}

/** As clients do: what is named first. Yields the first refusal, or the answer to the last manifest. */
export async function pushImage(server: PushedTo, path: string, tag: string, image: Image): Promise<Reply> {
  for (const blob of [...image.layers, ...image.configs]) {
    const reply = await pushBlob(server, path, blob);
    if (reply.status >= 300) return reply;
    await reply.bytes();
  }
  const children = image.index === undefined ? [] : image.manifests;
  for (const manifest of children) {
    const reply = await pushManifest(server, path, manifest.digest, manifest);
    if (reply.status >= 300) return reply;
    await reply.bytes();
  }
  return pushManifest(server, path, tag, image.top);
}
