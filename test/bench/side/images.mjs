// Images whose layers are made of a seed, so that every process has the same ones, and none of them their bytes. Forked with
// what buildImages takes it is a registry of them, which says where it listens.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { seeded } from './chance.mjs';

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** Until there are `count`, or `bytes` of them; each of so many layers, of sizes that are spread evenly by their logarithm. */
export function buildImages({ count = Infinity, bytes = Infinity, layers, least, most }) {
  const sizes = seeded(7);
  const images = [];
  for (let total = 0; total < bytes && images.length < count;) {
    const blobs = Array.from({ length: layers }, (_, at) => {
      const size = Math.round(least * (most / least) ** sizes());
      const seed = `${images.length} ${at}`;
      return { seed, size, digest: digestOf(bytesOf({ seed, size })) };
    });
    const config = { seed: `config ${images.length}`, size: 1024 };
    config.digest = digestOf(bytesOf(config));
    const descriptor = (mediaType, { digest, size }) => ({ mediaType, digest, size });
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: blobs.map((blob) => descriptor('application/vnd.oci.image.layer.v1.tar', blob)),
    });
    const manifest = Buffer.from(text);
    images.push({ manifest, digest: digestOf(manifest), blobs: [config, ...blobs] });
    total += blobs.reduce((sum, { size }) => sum + size, manifest.length + 1024);
  }
  return images;
}

export function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A registry of them in a process of its own, as `bench/image-0` and so on: where it listens, and how to end it. */
export async function openImages(options) {
  const child = fork(new URL(import.meta.url).pathname, [JSON.stringify(options)]);
  const [{ url }] = await once(child, 'message');
  return { url, pid: child.pid, stop: () => child.kill() };
}

export function bytesOf({ seed, size }) {
  return Buffer.alloc(size, createHash('sha512').update(seed).digest());
}

function serve(images) {
  const blobs = new Map(images.flatMap((image) => image.blobs.map((blob) => [blob.digest, blob])));
  const server = createServer((incoming, outgoing) => {
    const [, at, reference] = /^\/v2\/bench\/image-(\d+)\/manifests\/(.+)$/.exec(incoming.url) ?? [];
    const image = images[at];
    if (image !== undefined && (reference === 'latest' || reference === image.digest)) {
      const headers = {
        'content-type': MANIFEST,
        'content-length': image.manifest.length,
        'docker-content-digest': image.digest,
      };
      return outgoing.writeHead(200, headers).end(incoming.method === 'HEAD' ? undefined : image.manifest);
    }
    const blob = blobs.get(/\/blobs\/(sha256:[0-9a-f]+)$/.exec(incoming.url)?.[1]);
    if (blob === undefined) return outgoing.writeHead(incoming.url === '/v2/' ? 200 : 404).end();
    outgoing.writeHead(200, { 'content-length': blob.size });
    return outgoing.end(incoming.method === 'HEAD' ? undefined : bytesOf(blob));
  });
  server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
  process.on('disconnect', () => process.exit());
}

if (process.argv[1] === new URL(import.meta.url).pathname) serve(buildImages(JSON.parse(process.argv[2])));
