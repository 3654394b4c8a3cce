// Goal 6: whether it costs more where more is held. A store of very many objects beside one of 10,000 (stock.mjs): asked, by a
// schedule, for as many objects that lie all over it; made to evict about as many; killed and started again. The metadata's file
// lies in the page cache, as far as that has room for it. Where a directory is named the stores are kept there, and used again.
import { createReadStream, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, figure } from './compare.mjs';
import { seeded } from './chance.mjs';
import { configure } from './contenders.mjs';
import { live } from './life.mjs';
import { LEAD_IN_SECONDS, pullAll } from './open-loop.mjs';
import { makeStock } from './stock.mjs';

const FEW = 10_000;
/** The oldest, which are there to be evicted; and how many of them a round takes. */
const DOOMED = { count: 5_000, aRound: 600 };
const ASKED = 1_000;
/** So few a second that nobody waits for anybody. */
const RATE = 1_000;
const NOBODY = 'http://127.0.0.1:9';

export async function growth({ base, rounds, seconds, objects, stock = base, say, table }) {
  if ((rounds + 2) * DOOMED.aRound > DOOMED.count) throw new Error('growth: fewer rounds');
  const stores = [await openStore(stock, FEW, say), await openStore(stock, objects, say)];
  const [few, many] = stores.map(({ name }) => name);
  const each = (act) => Object.fromEntries(stores.map((store) => [store.name, () => act(store)]));
  table.note('growth: size of the metadata', stores.map(({ name, mib }) => `${name} ${mib} MiB`).join(', '));

  for (const store of stores) await store.begin();
  // Once to be read from their files, and again to be compiled for.
  for (const store of stores) for (let turn = 0; turn < 3; turn += 1) await store.ask({ connections: 1 });
  const rate = { rate: RATE, seconds: 2 * seconds, connections: 64 };
  const hits = await alternate(
    `growth: hits, ${RATE}/s`,
    each(({ ask }) => ask(rate)),
    rounds,
    say,
  );
  table.row(hits, ['p50', 'p99']);
  for (const what of ['p50', 'p99']) table.goal(hits, many, few, what, '≤', 1.2);

  for (const store of stores) await store.evict();
  const evictions = await alternate(
    'growth: evictions',
    each(({ evict }) => evict()),
    rounds,
    say,
  );
  table.row(evictions, ['cpuPerEvicted', 'msPerEvicted', 'kibPerEvicted']);
  table.goal(evictions, many, few, 'cpuPerEvicted', '≤', 1.2);
  // Pages of the metadata, which has the longer a way from its root the more it holds.
  table.beside(evictions, many, few, 'kibPerEvicted');

  const starts = await alternate(
    'growth: start to ready after a kill',
    each(({ restart }) => restart()),
    rounds,
    say,
  );
  table.row(starts, ['readySeconds', 'cpuSeconds']);
  table.verdict(`growth: start to ready, ${many}, s`, figure(starts, many, 'readySeconds').median, '≤', 2);
  for (const store of stores) await store.end();
}

/** A store with what a server of it does. */
async function openStore(base, objects, say) {
  const directory = join(base, `growth-${objects}`);
  const data = join(directory, 'data');
  mkdirSync(directory, { recursive: true });
  const name = `${objects.toLocaleString('en')} objects`;
  const began = performance.now();
  const asked = askedOf(objects);
  const stock = await makeStock(data, {
    objects,
    hasFile: (at) => at < DOOMED.count || asked.has(at),
    weight: weightOf(objects),
  });
  await readThrough(join(data, 'entrepot/metadata/data.mdb'));
  say(`${name}: ${stock.wasKept ? 'there, and read' : 'written'} in ${Math.round((performance.now() - began) / 1000)} s`);
  const paths = [...asked].map((at) => [stock.object(at).path]);
  let [bytes, seed, server] = [stock.bytes, 1, undefined];

  const configured = (maxBytes) =>
    configure(directory, NOBODY, {
      log: { accesslog: { disabled: true } },
      http: { addr: '127.0.0.1:0' },
      cache: { maxsize: `${(maxBytes / 1024).toFixed(3)}KiB`, watermarks: { high: '100%', low: '99%' }, keepfree: '0%' },
      defaults: { tagttl: '365d' },
    });

  return {
    name,
    mib: Math.round(statSync(join(data, 'entrepot/metadata/data.mdb')).size / 2 ** 20),
    begin: async () => void (server = await live(configured(2 * bytes))),
    end: () => server.stop(),
    /** All of them that often, in an order of its own each time. */
    async ask(options) {
      const random = seeded((seed += 1));
      const count =
        options.rate === undefined ? paths.length : Math.ceil(options.rate * (LEAD_IN_SECONDS + options.seconds) * 1.2);
      const pulls = Array.from(
        { length: count },
        (_, at) => paths[options.rate === undefined ? at : Math.floor(random() * paths.length)],
      );
      const result = await pullAll(server, pulls, { ...options, seed });
      if (result.hits < 1) throw new Error(`${name}: ${result.hits} of all were hits`);
      return result;
    },
    /** One per cent of all bytes, which the oldest few have. */
    async evict() {
      configured(bytes - 1);
      const before = server.cpuSeconds();
      const wroteBefore = server.bytesWritten();
      const evicted = server.expected('evicting');
      server.reload();
      const { blobs, bytes: gone, ms } = await evicted;
      const cpu = server.cpuSeconds() - before;
      bytes -= gone;
      const wrote = server.bytesWritten() - wroteBefore;
      return { cpuPerEvicted: (cpu / blobs) * 1000, msPerEvicted: ms / blobs, kibPerEvicted: wrote / blobs / 1024, blobs };
    },
    async restart() {
      await server.kill();
      server = await live(configured(2 * bytes));
      return { readySeconds: server.readyMs / 1000, cpuSeconds: server.cpuSeconds() };
    },
  };
}

/** So that it lies in the page cache. */
async function readThrough(file) {
  for await (const { length } of createReadStream(file, { highWaterMark: 2 ** 20 })) if (length === 0) return;
}

/** Manifests and blobs in turn, spread over all that is not to be evicted. */
function askedOf(objects) {
  const stride = Math.floor((objects - DOOMED.count) / ASKED / 10) * 10 + 5;
  const all = Array.from({ length: ASKED }, (_, at) => DOOMED.count + at * stride);
  return new Set(all.filter((at) => at < objects));
}

/** What the oldest have to weigh for so many of them to be one per cent of all, which is how near two watermarks can be. */
function weightOf(objects) {
  const { count, aRound } = DOOMED;
  return { count, bytes: Math.ceil(((objects - count) * 1_000_000) / (100 * aRound - count)) };
}
