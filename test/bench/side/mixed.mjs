// Goal 8: whether misses disturb hits. Two servers are asked for the same images in the same order, chosen by Zipf and asked for
// by a schedule (open-loop.mjs): one holds all of them, the other has room for as many as make nine of ten answers a hit, so that
// it fetches, hashes, writes and evicts all the while. The rate is half of what the second one can do at all. All share the machine's
// processors: a miss costs what our client and the upstream cost, too.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { idealHits, seeded, zipf } from './chance.mjs';
import { alternate, figure } from './compare.mjs';
import { configure } from './contenders.mjs';
import { buildImages, openImages } from './images.mjs';
import { live } from './life.mjs';
import { pullAll } from './open-loop.mjs';

/** Of blobs, for an ideal LRU. What is evicted is mostly layers: of all answers, manifests and configurations among them, nine in ten are hits then. */
const HITS = 0.85;
const EXPONENT = 1;
const CONNECTIONS = 64;
/** Clients at once for as much as a server can do. */
const CLIENTS = 32;
/** What an eviction leaves of the room, so that there are many small ones. */
const LOW = 0.98;

/** Where a directory is named (`stock`), what was pulled into the first of them is kept there, and used again. */
export async function mixed({ base, rounds, seconds, images: count, stock = base, say, table }) {
  const options = { count, layers: 1, least: 16_384, most: 1_048_576 };
  const images = buildImages(options);
  const upstream = await openImages(options);
  const pathsOf = images.map(({ blobs }, at) => [
    `/v2/bench/image-${at}/manifests/latest`,
    ...blobs.map(({ digest }) => `/v2/bench/image-${at}/blobs/${digest}`),
  ]);
  const { order } = zipf(count, EXPONENT, seeded(1));
  const held = join(stock, `mixed-${count}`);
  // The most popular last, so that they are what stays.
  const once = order.toReversed().map((at) => pathsOf[at]);
  await pullOnce(held, upstream, { options, once, say });
  const lesser = join(base, 'mixed');
  rmSync(lesser, { recursive: true, force: true });
  cpSync(held, lesser, { recursive: true });
  const all = { name: 'hits alone', ...(await live(configured(held, upstream, 64 * 2 ** 30))) };
  const room = roomFor(images);
  const some = { name: 'with misses', ...(await live(configured(lesser, upstream, 64 * 2 ** 30))) };
  const evicted = some.expected('evicting');
  configured(lesser, upstream, room);
  some.reload();
  const { blobs } = await evicted;
  say(`mixed load: room for ${Math.round(room / 2 ** 20)} MiB, ${blobs} blobs let go`);
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
        const pulls = chosen(seed, Math.ceil(rate * 2 * seconds * 1.5));
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

/** Makes `directory` that of a server that has pulled all of them, unless it is. */
async function pullOnce(directory, upstream, { options, once, say }) {
  const [note, text] = [join(directory, 'pulled.json'), JSON.stringify(options)];
  if (existsSync(note) && readFileSync(note, 'utf8') === text) return say(`mixed load: ${directory} has all images`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const server = await live(configured(directory, upstream, 64 * 2 ** 30));
  const { pullsPerSecond } = await pullAll(server, once, { connections: CLIENTS });
  await server.stop();
  writeFileSync(note, text);
  say(`mixed load: pulled all images, ${Math.round(pullsPerSecond)}/s`);
}

/** Writes how a server has so much room there; yields the file. */
function configured(directory, upstream, bytes) {
  return configure(directory, upstream.url, {
    log: { accesslog: { disabled: true } },
    http: { addr: '127.0.0.1:0' },
    cache: { maxsize: `${bytes}B`, watermarks: { high: '100%', low: `${LOW * 100}%` }, keepfree: '0%' },
    defaults: { tagttl: '365d' },
  });
}

/** Bytes in which an ideal LRU finds so many of the blobs, of what the evictions leave it. */
function roomFor(images) {
  const { choose, order } = zipf(images.length, EXPONENT, seeded(1));
  const before = order.toReversed().map((at) => images[at]);
  const pulls = [...before, ...Array.from({ length: 5 * images.length }, () => images[choose()])];
  let [low, high] = [0, images.reduce((sum, { blobs }) => sum + blobs.reduce((all, { size }) => all + size, 0), 0)];
  while (high - low > 2 ** 20) {
    const middle = Math.round((low + high) / 2);
    if (idealHits(pulls, middle, before.length) < HITS) low = middle;
    else high = middle;
  }
  return Math.round(high / ((1 + LOW) / 2));
}
