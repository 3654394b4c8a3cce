// A working set several times as large as the cache, pulled with a Zipf distribution while the wall clock runs fast:
// npm run bench:bounded [-- --seconds 60 --speed 30 --mib 256 --times 5 --workers 8 --zipf 0.9]
// Prints our own count of the cache (sampled every 100 ms) against the limit and against the files at the end, the hit ratio
// against that of an ideal LRU over the same requests, failed pulls, and the p99 of hits in seconds with evictions and without.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    speed: { type: 'string', default: '30' },
    mib: { type: 'string', default: '256' },
    times: { type: 'string', default: '5' },
    workers: { type: 'string', default: '8' },
    zipf: { type: 'string', default: '0.9' },
    rate: { type: 'string', default: '25' },
    role: { type: 'string', default: 'parent' },
  },
});
const limit = Number(values.mib) * 1024 * 1024;
const seconds = Number(values.seconds);
const LAYERS = 3;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

const random = seeded(20);
const roles = { parent, upstream };
await roles[values.role]();

/** The same images in every process: layers of 64 KiB to 4 MiB until the working set is reached. */
function buildImages() {
  const sizes = seeded(7);
  const images = [];
  for (let total = 0; total < limit * Number(values.times);) {
    const blobs = Array.from({ length: LAYERS }, (_, at) => {
      const size = Math.round(65_536 * 64 ** sizes());
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

function bytesOf({ seed, size }) {
  return Buffer.alloc(size, createHash('sha512').update(seed).digest());
}

function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** mulberry32: the same numbers in every run. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function upstream() {
  const images = buildImages();
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
  server.listen(0, '127.0.0.1', () => process.send({ kind: 'listening', port: server.address().port }));
}

async function parent() {
  const main = new URL('../../dist/main.js', import.meta.url).pathname;
  if (!existsSync(main)) throw new Error('dist/main.js is not there: npm run build');
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-bounded-'));
  const started = [];
  try {
    const images = buildImages();
    const source = start(started, [import.meta.filename, ...process.argv.slice(2), '--role', 'upstream'], ['ipc']);
    const [{ port }] = await once(source, 'message');
    const server = await serve(started, main, directory, port);
    const watched = watch(server);
    const pulled = await pullAll(server, images);
    await server.settled();
    const samples = await watched.stop();
    await report({ directory, images, pulled, samples, server });
  } finally {
    for (const child of started) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Zipf over the images, so many pulls a second in all, by a few workers. */
async function pullAll(server, images) {
  const weights = images.map((_, at) => 1 / (at + 1) ** Number(values.zipf));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const order = images.map((_, at) => at).sort((a, b) => seeded(a)() - seeded(b)());
  const choose = () => {
    let left = random() * whole;
    const at = weights.findIndex((weight) => (left -= weight) <= 0);
    return order[at === -1 ? 0 : at];
  };
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const requests = [];
  let failed = 0;
  const until = performance.now() + seconds * 1000;
  const gap = 1000 / (Number(values.rate) / Number(values.workers));
  async function work() {
    for (let due = performance.now() + random() * gap; performance.now() < until; due += gap) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
      const at = choose();
      try {
        await pullImage(agent, server, images[at], at, requests);
      } catch (error) {
        failed += 1;
        console.error(`pull of image-${at} failed: ${error.message}`);
      }
    }
  }
  await Promise.all(Array.from({ length: Number(values.workers) }, work));
  agent.destroy();
  return { requests, failed };
}

async function pullImage(agent, server, image, at, requests) {
  const path = `/v2/bench/image-${at}`;
  const manifest = await get(agent, `${server.url}${path}/manifests/latest`);
  if (manifest.digest !== image.digest) throw new Error(`manifest: ${manifest.status} ${manifest.digest}`);
  const entry = { at, started: performance.now(), image, blobs: [] };
  requests.push(entry);
  await Promise.all(
    image.blobs.map(async (blob) => {
      const started = performance.now();
      const answer = await get(agent, `${server.url}${path}/blobs/${blob.digest}`);
      if (answer.digest !== blob.digest) throw new Error(`blob: ${answer.status} ${answer.bytes} of ${blob.size} bytes`);
      entry.blobs.push({
        blob,
        hit: answer.hit,
        joined: answer.joined,
        ms: answer.firstMs,
        second: Math.floor(started / 1000),
      });
    }),
  );
}

function get(agent, url) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    request(url, { agent, headers: { accept: MANIFEST } }, (incoming) => {
      const firstMs = performance.now() - started;
      const hash = createHash('sha256');
      let bytes = 0;
      incoming.on('data', (chunk) => {
        bytes += chunk.length;
        hash.update(chunk);
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        const said = incoming.headers['cache-status'] ?? '';
        const [hit, joined] = [/;\s*hit/.test(said), /;\s*collapsed/.test(said)];
        resolve({ status: incoming.statusCode, digest: `sha256:${hash.digest('hex')}`, bytes, hit, joined, firstMs });
      });
    })
      .on('error', reject)
      .end();
  });
}

/** Our own count, every 100 ms, and the seconds in which something was evicted. */
function watch(server) {
  const samples = [];
  const evictingSeconds = new Set();
  let [stopped, evictions] = [false, 0];
  const loop = (async () => {
    while (!stopped) {
      const text = await server.metrics();
      samples.push(sumOf(text, 'entrepot_storage_bytes', /kind="(?:cached|partial|quarantine)"/));
      const now = sumOf(text, 'entrepot_evictions_total', /^/);
      if (now > evictions) evictingSeconds.add(Math.floor(performance.now() / 1000));
      evictions = now;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      return { samples, evictingSeconds, evictions };
    },
  };
}

function sumOf(text, name, labels) {
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, found = '', value] = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? [];
    const [, metric, inside = ''] = /^([a-z_]+)(?:\{(.*)\})?$/.exec(found) ?? [];
    if (metric === name && labels.test(inside)) sum += Number(value);
  }
  return sum;
}

async function report({ directory, images, pulled, samples: { samples, evictingSeconds, evictions }, server }) {
  const { requests, failed } = pulled;
  const blobs = requests.flatMap((entry) => entry.blobs);
  const hits = blobs.filter(({ hit }) => hit);
  // Who joined a running fill cost no transfer of his own: in the ideal order he comes after it.
  const own = blobs.filter(({ hit, joined }) => hit || joined).length / blobs.length;
  const ideal = idealLru(requests);
  const counted = sumOf(await server.metrics(), 'entrepot_storage_bytes', /kind="(?:cached|partial|quarantine)"/);
  const home = join(directory, 'data', 'entrepot');
  const held = bytesBelow(join(home, 'blobs')) + bytesBelow(join(home, 'parts')) + bytesBelow(join(home, 'quarantine'));
  const total = images.reduce(
    (sum, image) => sum + image.manifest.length + image.blobs.reduce((all, { size }) => all + size, 0),
    0,
  );
  const p99 = (evicting) =>
    quantile(
      hits.filter(({ second }) => evictingSeconds.has(second) === evicting).map(({ ms }) => ms),
      0.99,
    );
  const [during, without] = [p99(true), p99(false)];
  const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  console.log(
    `working set       ${images.length} images, ${mib(total)}, ${(total / limit).toFixed(1)} x the limit of ${mib(limit)}`,
  );
  console.log(
    `pulls             ${requests.length} in ${seconds} s (${(seconds * Number(values.speed)) / 60} minutes by the server's clock), ${failed} failed`,
  );
  console.log(
    `our own count     at most ${mib(Math.max(...samples))} in ${samples.length} samples, ${Math.max(...samples) <= limit ? 'never' : 'NOT always'} within the limit`.replace(
      'never within',
      'always within',
    ),
  );
  console.log(
    `at the end        ${counted} bytes counted, ${held} bytes in files: ${counted === held ? 'equal' : 'NOT EQUAL'}`,
  );
  console.log(`evicted           ${evictions} objects, in ${evictingSeconds.size} of ${seconds} seconds`);
  console.log(`hit ratio         ${(own * 100).toFixed(1)} %, ideal LRU ${(ideal * 100).toFixed(1)} %`);
  console.log(
    `first byte of hits p99 ${during.toFixed(1)} ms in seconds with evictions, ${without.toFixed(1)} ms without: ${(during / without).toFixed(2)} x`,
  );
}

/** Every request in its order over a cache that evicts exactly what was used least recently, an image's blobs with it. */
function idealLru(requests) {
  const held = new Map();
  let [bytes, hits, all] = [0, 0, 0];
  const use = ({ digest, size }) => {
    const has = held.delete(digest);
    if (!has) bytes += size;
    held.set(digest, size);
    for (const [oldest, its] of held) {
      if (bytes <= limit) break;
      held.delete(oldest);
      bytes -= its;
    }
    return has;
  };
  for (const { image } of requests) {
    use({ digest: image.digest, size: image.manifest.length });
    for (const blob of image.blobs) {
      all += 1;
      hits += use(blob) ? 1 : 0;
    }
  }
  return hits / all;
}

function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function bytesBelow(path) {
  if (!existsSync(path)) return 0;
  return readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
    const below = join(path, entry.name);
    return sum + (entry.isDirectory() ? bytesBelow(below) : statSync(below).size);
  }, 0);
}

function start(started, args, extra, env = {}) {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit', ...extra],
    env: { ...process.env, ...env },
  });
  started.push(child);
  return child;
}

async function serve(started, main, directory, port) {
  const file = join(directory, 'config.yml');
  const settings = {
    http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    cache: { maxsize: `${values.mib}MiB`, keepfree: '0%' },
    upstreams: { source: { url: `http://127.0.0.1:${port}` } },
    routes: [{ match: ['**'], upstreams: ['source'] }],
    defaults: { tagttl: '365d' },
    names: { default: 'bench.test' },
    log: { accesslog: { disabled: true } },
  };
  writeFileSync(file, JSON.stringify(settings));
  const clock = new URL('../faults/fast-clock.mjs', import.meta.url).pathname;
  const env = { FAST_CLOCK: values.speed, FAST_CLOCK_SINCE: String(Date.now()) };
  const child = start(started, ['--import', clock, main, 'serve', file], [], env);
  let text = '';
  const addresses = await (async () => {
    for await (const chunk of child.stdout) {
      text += chunk;
      const line = text.split('\n').find((candidate) => candidate.includes('"listening"'));
      if (line !== undefined) return JSON.parse(line).addresses;
    }
    throw new Error(`the server did not start: ${text}`);
  })();
  const metrics = async () => (await fetch(`http://${addresses.debug}/metrics`)).text();
  return {
    url: `http://${addresses.main}`,
    metrics,
    /** Nothing runs any more: no fill, no eviction. */
    async settled() {
      for (let before = ''; ;) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        const text = await metrics();
        const now = `${sumOf(text, 'entrepot_evictions_total', /^/)} ${sumOf(text, 'entrepot_storage_bytes', /^/)}`;
        if (now === before && sumOf(text, 'entrepot_fills_running', /^/) === 0) return;
        before = now;
      }
    },
  };
}
