// Goal 8: whether misses disturb hits. Two servers are asked for the same images in the same order, chosen by Zipf and asked for
// by a schedule (open-loop.mjs): one holds all of them, the other has room for as many as make nine of ten answers a hit, so that
// it fetches, hashes, writes and evicts all the while. The rate is half of what the second one can do at all. All share the machine's
// processors: a miss costs what our client and the upstream cost, too.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { idealHits, seeded, zipf } from './chance.mjs';
import { alternate, figure } from './compare.mjs';
import { configure } from './contenders.mjs';
import { holdImages } from './held-images.mjs';
import { buildImages, openImages } from './images.mjs';
import { live } from './life.mjs';
import { LEAD_IN_SECONDS, pullAll } from './open-loop.mjs';
import { flushDisks } from './settle.mjs';

/** For an ideal LRU: an image is held whole or not at all, so that of its manifest this is as true as of its blobs. */
const HITS = 0.9;
const EXPONENT = 1;
const CONNECTIONS = 64;
/** Clients at once for as much as a server can do. */
const CLIENTS = 32;
/** What an eviction leaves of the room, so that there are many small ones. */
const LOW = 0.98;

export async function mixed({ base, rounds, seconds, images: count, say, table }) {
  const options = { count, layers: 1, least: 16_384, most: 1_048_576 };
  const images = buildImages(options);
  const upstream = await openImages(options);
  const pathsOf = images.map(({ blobs }, at) => [
    `/v2/bench/image-${at}/manifests/latest`,
    ...blobs.map(({ digest }) => `/v2/bench/image-${at}/blobs/${digest}`),
  ]);
  const { order } = zipf(count, EXPONENT, seeded(1));
  const popular = order.map((at) => ({ at, image: images[at] }));
  const room = roomFor(images);
  const begin = async (name, bytes) => ({ name, ...(await open(join(base, name), upstream, popular, bytes)) });
  const all = await begin('hits alone', 64 * 2 ** 30);
  const some = await begin('with misses', room);
  flushDisks();
  say(`mixed load: ${count} images are held, and ${Math.round(room / 2 ** 20)} MiB of them`);
  const chosen = (seed, most) => {
    const { choose } = zipf(count, EXPONENT, seeded(seed));
    return Array.from({ length: most }, () => pathsOf[choose()]);
  };
  // Both have been asked as much, and are compiled for it.
  const atMost = (server) => pullAll(server, chosen(2, 50_000), { connections: CLIENTS, seconds: 2 * seconds });
  await atMost(all);
  const full = await atMost(some);
  const rate = full.pullsPerSecond / 2;
  say(
    `mixed load: at most ${Math.round(full.pullsPerSecond)} pulls/s, ${(full.hits * 100).toFixed(1)} % hits; half of it from now on`,
  );
  const runs = new Map([all, some].map(({ name }) => [name, 0]));
  const contenders = Object.fromEntries(
    [all, some].map((server) => [
      server.name,
      () => {
        const seed = 3 + runs.get(server.name);
        runs.set(server.name, runs.get(server.name) + 1);
        const pulls = chosen(seed, Math.ceil(rate * (LEAD_IN_SECONDS + 2 * seconds) * 1.5));
        return pullAll(server, pulls, { rate, seconds: 2 * seconds, connections: CONNECTIONS, seed });
      },
    ]),
  );
  for (const run of Object.values(contenders)) await run();
  const title = `mixed load, ${Math.round(rate)} pulls/s of ${count} images`;
  const taken = await alternate(title, contenders, rounds, say);
  table.row(taken, ['p50', 'p99', 'hits']);
  table.verdict(`${title}: share of hits`, figure(taken, 'with misses', 'hits').median, '≥', 0.88);
  table.goal(taken, 'with misses', 'hits alone', 'p99', '≤', 3);
  await Promise.all([all.stop(), some.stop()]);
  upstream.stop();
}

/** A server that has room for so many bytes, and holds what of these images fits; the first of them were used last. */
async function open(directory, upstream, popular, bytes) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const held = [];
  let left = bytes * LOW;
  for (const one of popular) {
    left -= sizeOf(one.image);
    if (left < 0) break;
    held.push(one);
  }
  await holdImages(join(directory, 'data'), held.reverse());
  const more = {
    log: { accesslog: { disabled: true } },
    http: { addr: '127.0.0.1:0' },
    cache: { maxsize: `${bytes}B`, watermarks: { high: '100%', low: `${LOW * 100}%` }, keepfree: '0%' },
    defaults: { tagttl: '365d' },
  };
  return live(configure(directory, upstream.url, more));
}

const sizeOf = ({ manifest, blobs }) => blobs.reduce((sum, { size }) => sum + size, manifest.length);

/** Bytes in which an ideal LRU finds so many of the blobs, of what the evictions leave it. */
function roomFor(images) {
  const { choose, order } = zipf(images.length, EXPONENT, seeded(1));
  const before = order.toReversed().map((at) => images[at]);
  const pulls = [...before, ...Array.from({ length: 5 * images.length }, () => images[choose()])];
  let [low, high] = [0, images.reduce((sum, image) => sum + sizeOf(image), 0)];
  while (high - low > 2 ** 20) {
    const middle = Math.round((low + high) / 2);
    if (idealHits(pulls, middle, before.length) < HITS) low = middle;
    else high = middle;
  }
  return Math.round(high / ((1 + LOW) / 2));
}
