// Ours beside the official registry's mirror and nginx, on this machine, in one run: npm run bench
//   [-- --only small,large,first,docker,memory,several,growth,mixed] [--rounds 5] [--seconds 4] [--mib 200] [--write]
//   [--objects 10000000] [--stock DIRECTORY] [--images 10000]
// Every figure is the median of rounds in which all contenders ran one after the other; a ratio is of two such. Before a first pull is
// measured, whoever is asked for it has pulled some dozens of other layers. `--write` puts what was measured into results.json and
// RESULTS.md, with the machine named. The goals are those of the plan; what is missed says so.
// `--stock`: where the stores of very many objects are kept, and found again.
// `npm run bench -- --smoke`: a minute instead, which fails where a ratio is less than half of what results.json has.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alternate, figure, ratio } from './side/compare.mjs';
import { bareFill, bareNode, entrepot, nginxFiles, official } from './side/contenders.mjs';
import { IMAGE, openDocker, pull } from './side/docker.mjs';
import { download, hammer } from './side/load.mjs';
import { crowd } from './side/crowd.mjs';
import { growth } from './side/growth.mjs';
import { large, small } from './side/hits.mjs';
import { mixed } from './side/mixed.mjs';
import { anonymousMiB, get, has } from './side/processes.mjs';
import { readRecord, rendered, writeRecord } from './side/record.mjs';
import { smoke } from './side/smoke.mjs';
import { coldPull, directPull, openUpstream, saveAnswer, started, warm } from './side/work.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'small,large,first,docker,memory,several,growth,mixed' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    mib: { type: 'string', default: '200' },
    objects: { type: 'string', default: '10000000' },
    stock: { type: 'string' },
    images: { type: 'string', default: '10000' },
    write: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
  },
});
const [rounds, seconds, bytes] = [Number(values.rounds), Number(values.seconds), Number(values.mib) * 1024 * 1024];
const wanted = new Set(values.only.split(','));
const programs = values.smoke ? ['wrk', 'nginx'] : ['wrk', 'nginx', 'docker-registry', 'openssl'];
const need = programs.filter((program) => !has(program));
if (need.length > 0) throw new Error(`needs ${need.join(', ')}: apt-get install wrk nginx-light docker-registry openssl`);

const base = mkdtempSync(join(tmpdir(), 'entrepot-bench-'));
process.on('exit', () => rmSync(base, { recursive: true, force: true }));
const say = (line) => process.stderr.write(`${line}\n`);
const rows = [];
const units = {
  perSecond: '/s',
  gigabytesPerSecond: 'GB/s',
  seconds: 's',
  cpuPer10k: 'CPU-s/10k',
  cpuPerGigabyte: 'CPU-s/GB',
  firstByteMs: 'ms',
  p50: 'p50 in ms',
  p99: 'p99 in ms',
  hits: 'share of hits',
  readySeconds: 's',
  cpuSeconds: 'CPU-s',
  cpuPerEvicted: 'CPU-ms each',
  msPerEvicted: 'ms each',
  kibPerEvicted: 'KiB written each',
};

const upstream = await openUpstream(
  // Large ones as large as those of which the record is: the same work has the same ratio.
  values.smoke ? { images: 200, bytes, large: 2 } : { images: 1000, bytes },
);
const shared = {
  base,
  rounds,
  seconds,
  say,
  table: { row, goal, beside, verdict, note: (what, said) => rows.push({ what, said }) },
};
const goals = {
  small: () => small({ ...shared, upstream }),
  large: () => large({ ...shared, upstream }),
  first,
  docker,
  memory,
  several,
  growth: () => growth({ ...shared, objects: Number(values.objects), stock: values.stock }),
  mixed: () => mixed({ ...shared, images: Number(values.images) }),
};
if (values.smoke) await look();
else for (const [name, goal] of Object.entries(goals)) if (wanted.has(name)) await goal();
upstream.child.kill();
if (!values.smoke) report();

/** Fails where speed was lost. */
async function look() {
  const results = await smoke({ base, upstream, record: readRecord(), say });
  for (const { what, recorded, now, lost } of results)
    process.stdout.write(`${what}: ${now.toPrecision(3)}, recorded ${recorded.toPrecision(3)}${lost ? ': LOST' : ''}\n`);
  if (results.some(({ lost }) => lost)) process.exitCode = 1;
}

/** Goal 3: what is not held yet. */
async function first() {
  for (const { kind, rate, clients, most, peers = [], bare } of [
    { kind: 'first pull at 250 MB/s', rate: 250e6, clients: 1, most: 1.05 },
    { kind: 'first pull at 250 MB/s, four clients', rate: 250e6, clients: 4, most: 1.15, bare: 'direct' },
    { kind: 'first pull at 50 MB/s, sixteen clients', rate: 50e6, clients: 16, most: 1.05 },
    { kind: 'first pull, unthrottled', rate: 0, clients: 1, peers: [official], bare: 'official' },
  ]) {
    await upstream.rate(rate);
    await directPull(upstream); // It too has its first behind it.
    const cold = (start) => () => coldPull(start, base, upstream, { rate, clients });
    const contenders = {
      direct: () => directPull(upstream),
      entrepot: cold(entrepot),
      ...Object.fromEntries(peers.map((peer) => [peer.name, cold(peer)])),
      ...(bare === undefined ? {} : { 'bare fill': cold(bareFill) }),
    };
    const taken = await alternate(kind, contenders, rounds, say);
    row(taken, ['seconds', 'firstByteMs', 'cpuPerGigabyte']);
    const transfers = Math.max(...taken.rounds.map((round) => round.entrepot.transfers));
    verdict(`${kind}: upstream transfers`, transfers, '≤', 1);
    if (most !== undefined) goal(taken, 'entrepot', 'direct', 'seconds', '≤', most);
    if (peers.length > 0) goal(taken, 'entrepot', 'official', 'seconds', '≤', 0.7);
    if (bare !== undefined) {
      beside(taken, 'entrepot', 'bare fill', 'seconds');
      beside(taken, 'bare fill', bare, 'seconds');
    }
    if (clients === 1 && rate > 0) {
      const later = figure(taken, 'entrepot', 'firstByteMs').median - figure(taken, 'direct', 'firstByteMs').median;
      verdict(`${kind}: first byte later than direct, ms`, later, '≤', 5);
    }
  }
  await upstream.rate(0);
}

/** Goal 4: a whole `docker pull`. */
async function docker() {
  const engine = await openDocker(join(base, 'docker'));
  if (engine.whyNot !== undefined) {
    rows.push({ what: 'docker pull of ten layers', said: `not measured: ${engine.whyNot}` });
    return;
  }
  try {
    await pulls(engine);
  } finally {
    await engine.stop();
  }
}

async function pulls(engine) {
  const root = join(base, 'image');
  const { mediaType, digest } = engine.tree(root);
  await upstream.add({ name: IMAGE, mediaType, digest }, root);
  const pulled = (server) => pull(engine.docker, server, digest);
  const files = await nginxFiles(base, { manifest: mediaType, from: root });
  const ours = await entrepot(base, upstream.url);
  const held = { entrepot: () => pulled(ours), [files.name]: () => pulled(files) };
  for (const run of Object.values(held)) await run();
  const cached = await alternate('docker pull of ten layers, held', held, rounds, say);
  row(cached, ['seconds', 'cpuSeconds']);
  goal(cached, 'entrepot', files.name, 'seconds', '≤', 1.05);
  await Promise.all([ours.stop(), files.stop()]);

  const rate = 250e6;
  await upstream.rate(rate);
  const cold = (start) => async () => {
    const server = await started(start, base, upstream, rate);
    const figures = await pulled(server);
    await server.stop();
    return figures;
  };
  const direct = () => pulled({ url: upstream.url, pid: upstream.child.pid });
  const first = await alternate(
    'docker pull of ten layers, first, at 250 MB/s a layer',
    { direct, entrepot: cold(entrepot), 'bare fill': cold(bareFill) },
    rounds,
    say,
  );
  row(first, ['seconds', 'cpuSeconds']);
  goal(first, 'entrepot', 'direct', 'seconds', '≤', 1.1);
  beside(first, 'entrepot', 'bare fill', 'seconds');
  beside(first, 'bare fill', 'direct', 'seconds');
  await upstream.rate(0);
}

/** Goal 5: anonymous memory. */
async function memory() {
  const [{ repository, layer }] = upstream.large;
  const path = `/v2/${repository}/blobs/${layer}`;
  const ours = await entrepot(base, upstream.url);
  // What starting up took is given back after ten seconds.
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  verdict('idle, 20 s after its start, MiB', anonymousMiB(ours.pid), '≤', 50);
  await get(`${ours.url}/v2/${repository}/manifests/latest`);
  await get(`${ours.url}${path}`);
  for (const { kind, options, most } of [
    { kind: '10,000 idle connections, MiB', options: { idle: 10_000 }, most: 200 },
    {
      kind: '1,000 readers, half at 100 kB/s and half at 1 MB/s, MiB',
      options: {
        slow: [
          [500, 1e5],
          [500, 1e6],
        ],
      },
      most: 200,
    },
    { kind: '5,000 stalled readers, MiB', options: { stalled: 5000 }, most: 500 },
  ]) {
    const { peak, slowest, fast } = await crowd(ours, path, options, Math.max(5, seconds * 2), anonymousMiB);
    verdict(kind, peak, '≤', most);
    if (slowest === undefined) continue;
    verdict(`${kind}: the slowest, kB/s`, slowest / 1000, '≥', 90);
    rows.push({ what: `${kind}: those at 1 MB/s, kB/s`, figures: { entrepot: { median: fast / 1000 } } });
  }
  await ours.stop();
}

/** Goal 7: several worker processes on one port. */
async function several() {
  const one = await entrepot(base, upstream.url, { name: 'one process' });
  const two = await entrepot(base, upstream.url, { name: 'two workers', more: { workers: 2 } });
  const paths = upstream.small.map(({ repository, digest }) => `/v2/${repository}/manifests/${digest}`);
  // Each process gets warm by itself: what is asked once has come to one of them.
  for (const server of [one, two]) {
    await warm(server, paths);
    await hammer(server, paths, { seconds: 2 * seconds, script: join(base, 'wrk.lua') });
  }
  const answer = await saveAnswer(base, `${one.url}${paths[0]}`);
  const bare = [await bareNode(base, 'http', answer), await bareNode(base, 'workers', answer)];
  const contenders = Object.fromEntries(
    [one, two, ...bare].map((server) => [server.name, () => hammer(server, paths, { seconds, script: join(base, 'wrk.lua') })]),
  );
  // What the scheduler does with three processes on two processors differs more from run to run than the goal leaves room for.
  const taken = await alternate('several workers, manifest by digest, held', contenders, 2 * rounds + 1, say);
  row(taken, ['perSecond', 'cpuPer10k']);
  goal(taken, 'two workers', 'one process', 'cpuPer10k', '≤', 1.15);
  beside(taken, 'bare workers', 'bare http', 'cpuPer10k');
  await Promise.all(bare.map((server) => server.stop()));
  await upstream.rate(50e6);
  const { repository, layer } = upstream.large[0];
  await get(`${two.url}/v2/${repository}/manifests/latest`);
  const before = await upstream.transfers();
  await download(two, [`${two.url}/v2/${repository}/blobs/${layer}`], { clients: 16 });
  verdict('several workers, sixteen clients, not held: upstream transfers', (await upstream.transfers()) - before, '≤', 1);
  await upstream.rate(0);
  const figures = {
    [one.name]: { median: anonymousMiB(one.pid) },
    'two workers and their primary': { median: anonymousMiB(two.pid) },
  };
  rows.push({ what: 'several workers, anonymous memory in MiB', figures });
  await Promise.all([one.stop(), two.stop()]);
}

function row(taken, whats) {
  for (const what of whats) {
    const figures = Object.fromEntries(taken.names.map((name) => [name, figure(taken, name, what)]));
    rows.push({ what: `${taken.title}, ${units[what]}`, figures });
  }
}

function goal(taken, name, peer, what, sign, than) {
  const value = ratio(taken, name, peer, what, Math.min(5, rounds));
  verdict(`${taken.title}: ${name} / ${peer}, ${units[what]}`, value, sign, than);
}

/** A ratio that is no goal. */
function beside(taken, name, peer, what) {
  goal(taken, name, peer, what);
}

function verdict(what, value, sign, than) {
  rows.push({ what, value, sign, than });
}

function report() {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const machine = `${cpus().length} × ${cpus()[0].model}, ${(totalmem() / 2 ** 30).toFixed(1)} GiB, Linux ${release()}, Node ${process.version}`;
  const record = { entrepot: version, machine, rounds, rows };
  process.stdout.write(rendered(record));
  if (values.write) writeRecord(record);
}
