// A registry of generated images, for all contenders alike, in a process of its own: `fork` it with a count of small images, the size of
// a large layer, and how many of those. It says where it listens and what it has; told { rate }, it sends blobs at so many bytes a second
// each; told { image, root }, it has the files of that image too. Whoever asks GET /transfers is told how many whole-blob transfers were
// begun.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const IMAGES = Number(process.argv[2]);
const LARGE_BYTES = Number(process.argv[3]);
const LARGE = Number(process.argv[4] ?? 8);
/** What a server pulls to get warm: as many as it takes for what it runs to be compiled, and small ones. */
const WARMING = 24;
const WARMING_BYTES = 1024 * 1024;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const manifests = new Map();
const blobs = new Map();
let rate = 0;
let transfers = 0;
let asked = 0;

/** The large layers repeat a block, so that a client can check each byte without having them. */
export const block = createHash('sha512').update('entrepot').digest();

function addImage(repository, layer) {
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', author: repository }));
  const described = (bytes, mediaType) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: described(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [described(layer, 'application/vnd.oci.image.layer.v1.tar+gzip')],
    }),
  );
  const [digest, layerDigest] = [digestOf(bytes), digestOf(layer)];
  blobs.set(layerDigest, layer).set(digestOf(config), config);
  manifests.set(repository, { bytes, digest });
  return { repository, digest, layer: layerDigest, size: layer.length };
}

const small = Array.from({ length: IMAGES }, (_, at) => addImage(`library/image${at}`, Buffer.alloc(2048, `layer ${at} `)));
const large = Array.from({ length: LARGE }, (_, at) =>
  addImage(`library/large${at}`, Buffer.alloc(LARGE_BYTES + 64 * at, block)),
);
const warming = Array.from({ length: WARMING }, (_, at) =>
  addImage(`library/warming${at}`, Buffer.alloc(WARMING_BYTES + 64 * at, `warming ${at} `)),
);

const server = createServer((incoming, outgoing) => {
  const { pathname } = new URL(incoming.url, 'http://upstream');
  const [, repository, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
  if (kind === 'manifests') asked += 1;
  const manifest = kind === 'manifests' ? manifests.get(repository) : undefined;
  const bytes =
    kind === 'blobs'
      ? blobs.get(reference)
      : reference === 'latest' || reference === manifest?.digest
        ? manifest?.bytes
        : undefined;
  if (pathname === '/transfers') return outgoing.end(JSON.stringify({ transfers, asked }));
  if (bytes === undefined) return outgoing.writeHead(pathname === '/v2/' ? 200 : 404).end();
  const [, from = '0', to] = /^bytes=(\d+)-(\d*)$/.exec(incoming.headers.range ?? '') ?? [];
  const isPart = incoming.headers.range !== undefined;
  const part = bytes.subarray(Number(from), to === undefined || to === '' ? bytes.length : Number(to) + 1);
  outgoing.writeHead(isPart ? 206 : 200, {
    'content-type': kind === 'manifests' ? (manifest.type ?? MANIFEST) : 'application/octet-stream',
    'content-length': part.length,
    'docker-content-digest': kind === 'manifests' ? manifest.digest : reference,
    ...(isPart ? { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}` } : {}),
  });
  if (incoming.method === 'HEAD') return outgoing.end();
  if (kind === 'blobs' && part.length > 65_536) transfers += 1;
  if (rate === 0 || part.length <= 65_536) return outgoing.end(part);
  drip(outgoing, part);
});

/** At `rate` bytes a second, in steps of a few milliseconds. */
function drip(outgoing, bytes) {
  const started = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(bytes.length, Math.ceil(((performance.now() - started) / 1000) * rate) + 65_536);
    if (due > sent && !outgoing.writableNeedDrain) {
      outgoing.write(bytes.subarray(sent, due));
      sent = due;
    }
    if (sent < bytes.length) return;
    clearInterval(timer);
    outgoing.end();
  }, 2);
  outgoing.on('close', () => clearInterval(timer));
}

/** What side/docker.mjs laid out below `root`. */
function addFiles({ name, mediaType, digest }, root) {
  const at = join(root, 'v2', name);
  manifests.set(name, { bytes: readFileSync(join(at, 'manifests/latest')), digest, type: mediaType });
  for (const blob of readdirSync(join(at, 'blobs'))) blobs.set(blob, readFileSync(join(at, 'blobs', blob)));
}

process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  if (message.image !== undefined) {
    addFiles(message.image, message.root);
    process.send({ kind: 'image' });
  }
  if (message.rate === undefined) return;
  rate = message.rate;
  process.send({ kind: 'rate', rate });
});
server.listen(0, '127.0.0.1', () =>
  process.send?.({ kind: 'listening', url: `http://127.0.0.1:${server.address().port}`, small, large, warming }),
);
