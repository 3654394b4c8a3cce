// A working set several times as large as the cache, pulled with a Zipf distribution while the wall clock runs fast:
// npm run bench:bounded [-- --seconds 60 --speed 30 --mib 256 --times 5 --workers 8 --zipf 0.9]
// Prints our own count of the cache (sampled every 100 ms) against the limit and against the files at the end, the hit ratio
// against that of an ideal LRU over the same requests, failed pulls, and the p99 of hits in seconds with evictions and without.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { idealHits, seeded, zipf } from './side/chance.mjs';
import { quantile } from './side/compare.mjs';
import { buildImages, MANIFEST, openImages } from './side/images.mjs';
import { live } from './side/life.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    speed: { type: 'string', default: '30' },
    mib: { type: 'string', default: '256' },
    times: { type: 'string', default: '5' },
    workers: { type: 'string', default: '8' },
    zipf: { type: 'string', default: '0.9' },
    rate: { type: 'string', default: '25' },
  },
});
const limit = Number(values.mib) * 1024 * 1024;
const seconds = Number(values.seconds);
const IMAGES = { bytes: limit * Number(values.times), layers: 3, least: 65_536, most: 4_194_304 };

const random = seeded(20);
await parent();

async function parent() {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-bounded-'));
  const images = buildImages(IMAGES);
  const source = await openImages(IMAGES);
  try {
    const server = await serve(directory, source.url);
    const watched = watch(server);
    const pulled = await pullAll(server, images);
    await server.settled();
    const samples = await watched.stop();
    await report({ directory, images, pulled, samples, server });
    await server.kill();
  } finally {
    source.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Zipf over the images, so many pulls a second in all, by a few workers. */
async function pullAll(server, images) {
  const { choose } = zipf(images.length, Number(values.zipf), random);
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
  const ideal = idealHits(
    requests.map(({ image }) => image),
    limit,
  );
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

function bytesBelow(path) {
  if (!existsSync(path)) return 0;
  return readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
    const below = join(path, entry.name);
    return sum + (entry.isDirectory() ? bytesBelow(below) : statSync(below).size);
  }, 0);
}

async function serve(directory, upstream) {
  const file = join(directory, 'config.yml');
  const settings = {
    http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    cache: { maxsize: `${values.mib}MiB`, keepfree: '0%' },
    upstreams: { source: { url: upstream } },
    routes: [{ match: ['**'], upstreams: ['source'] }],
    defaults: { tagttl: '365d' },
    names: { default: 'bench.test' },
    log: { accesslog: { disabled: true } },
  };
  writeFileSync(file, JSON.stringify(settings));
  const clock = new URL('../faults/fast-clock.mjs', import.meta.url).pathname;
  const env = { FAST_CLOCK: values.speed, FAST_CLOCK_SINCE: String(Date.now()) };
  const server = await live(file, { node: ['--import', clock], env });
  const metrics = async () => (await fetch(`http://${server.addresses.debug}/metrics`)).text();
  return {
    url: server.url,
    kill: server.kill,
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
