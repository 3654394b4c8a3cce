// Ours beside the official registry's mirror and nginx, on this machine, in one run: npm run bench
//   [-- --only small,large,first,memory,several,growth,mixed] [--rounds 5] [--seconds 4] [--mib 200] [--write]
//   [--objects 10000000] [--images 10000]
// Every figure is the median of rounds in which all contenders ran one after the other; a ratio is of two such. `--write` puts the
// table into RESULTS.md, with the machine named. The goals are those of the plan; what is missed says so.
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { alternate, figure, ratio } from './side/compare.mjs';
import { certificate, entrepot, nginxCache, nginxFiles, official } from './side/contenders.mjs';
import { download, hammer } from './side/load.mjs';
import { crowd } from './side/crowd.mjs';
import { growth } from './side/growth.mjs';
import { mixed } from './side/mixed.mjs';
import { anonymousMiB, get, has } from './side/processes.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'small,large,first,memory,several,growth,mixed' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    mib: { type: 'string', default: '200' },
    objects: { type: 'string', default: '10000000' },
    images: { type: 'string', default: '10000' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, seconds, bytes] = [Number(values.rounds), Number(values.seconds), Number(values.mib) * 1024 * 1024];
const wanted = new Set(values.only.split(','));
const need = ['wrk', 'nginx', 'docker-registry', 'openssl'].filter((program) => !has(program));
if (need.length > 0) throw new Error(`needs ${need.join(', ')}: apt-get install wrk nginx-light docker-registry openssl`);

const base = mkdtempSync(join(tmpdir(), 'entrepot-bench-'));
process.on('exit', () => rmSync(base, { recursive: true, force: true }));
const say = (line) => process.stderr.write(`${line}\n`);
const lines = [];
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
};

const upstream = await openUpstream();
const shared = {
  base,
  rounds,
  seconds,
  say,
  table: { row, goal, verdict, note: (what, text) => lines.push(`| ${what} | ${text} | |`) },
};
const goals = {
  small,
  large,
  first,
  memory,
  several,
  growth: () => growth({ ...shared, objects: Number(values.objects) }),
  mixed: () => mixed({ ...shared, images: Number(values.images) }),
};
for (const [name, goal] of Object.entries(goals)) if (wanted.has(name)) await goal();
upstream.child.kill();
await report();

async function openUpstream() {
  const child = fork(new URL('side/upstream.mjs', import.meta.url).pathname, ['1000', String(bytes)]);
  const [said] = await once(child, 'message');
  const rate = async (perSecond) => {
    child.send({ rate: perSecond });
    await once(child, 'message');
  };
  const transfers = async () => JSON.parse((await get(`${said.url}/transfers`)).body).transfers;
  return { ...said, child, rate, transfers };
}

/** Goal 1: small answers from what is held. */
async function small() {
  const servers = [
    await entrepot(base, upstream.url),
    await official(base, upstream.url),
    await nginxCache(base, upstream.url),
  ];
  const kinds = {
    'manifest by tag': ({ repository }) => `/v2/${repository}/manifests/latest`,
    'manifest by digest': ({ repository, digest }) => `/v2/${repository}/manifests/${digest}`,
    'small blob': ({ repository, layer }) => `/v2/${repository}/blobs/${layer}`,
  };
  const goalsOf = { 'manifest by tag': 100, 'manifest by digest': 40, 'small blob': 60 };
  for (const [kind, pathOf] of Object.entries(kinds)) {
    const paths = upstream.small.map(pathOf);
    for (const server of servers) await warm(server, paths);
    const contenders = Object.fromEntries(
      servers.map((server) => [server.name, () => hammer(server, paths, { seconds, script: join(base, 'wrk.lua') })]),
    );
    // What has just started is still being compiled: a server that stands for months is not.
    for (const run of Object.values(contenders)) await run();
    const taken = await alternate(`${kind}, held`, contenders, rounds, say);
    row(taken, ['perSecond', 'cpuPer10k']);
    goal(taken, 'entrepot', 'official', 'perSecond', '≥', goalsOf[kind]);
    goal(taken, 'entrepot', 'nginx-cache', 'perSecond', '≥', 0.45);
  }
  await Promise.all(servers.map((server) => server.stop()));
}

async function warm(server, paths) {
  for (const path of paths) {
    const { status } = await get(`${server.url}${path}`);
    if (status !== 200) throw new Error(`${server.name}: ${path} is ${status}`);
  }
}

/** Goal 2: large blobs from what is held. */
async function large() {
  const tls = certificate(base);
  const [{ repository, layer }] = upstream.large;
  const path = `/v2/${repository}/blobs/${layer}`;
  for (const { kind, options, clients, least } of [
    { kind: 'large blob, held, one client', options: {}, clients: 1, least: 1.1 },
    { kind: 'large blob, held, sixteen clients', options: {}, clients: 16, least: 1 },
    { kind: 'large blob, held, over TLS', options: { tls }, clients: 1, least: 0.85 },
  ]) {
    const ours = await entrepot(base, upstream.url, options);
    const files = await nginxFiles(base, options);
    await get(`${ours.url}/v2/${repository}/manifests/latest`);
    const { body } = await get(`${ours.url}${path}`);
    const file = join(files.files, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, body);
    const times = clients === 1 ? 10 : 2;
    const contenders = Object.fromEntries(
      [ours, files].map((server) => [server.name, () => download(server, [`${server.url}${path}`], { clients, times })]),
    );
    const taken = await alternate(kind, contenders, rounds, say);
    row(taken, ['gigabytesPerSecond', 'cpuPerGigabyte']);
    goal(taken, 'entrepot', 'nginx-files', 'gigabytesPerSecond', '≥', least);
    if (clients === 1 && options.tls === undefined) goal(taken, 'entrepot', 'nginx-files', 'cpuPerGigabyte', '≤', 1.2);
    await Promise.all([ours.stop(), files.stop()]);
  }
}

/** Goal 3: what is not held yet. */
async function first() {
  for (const { kind, rate, clients, most, peers = [] } of [
    { kind: 'first pull at 250 MB/s', rate: 250e6, clients: 1, most: 1.05 },
    { kind: 'first pull at 250 MB/s, four clients', rate: 250e6, clients: 4, most: 1.15 },
    { kind: 'first pull at 50 MB/s, sixteen clients', rate: 50e6, clients: 16, most: 1.05 },
    { kind: 'first pull, unthrottled', rate: 0, clients: 1, peers: [official] },
  ]) {
    await upstream.rate(rate);
    const [{ repository, layer }, other] = upstream.large;
    const path = `/v2/${repository}/blobs/${layer}`;
    const direct = { pid: upstream.child.pid };
    const cold = (start) => async () => {
      const server = await start(base, upstream.url);
      // The first of this blob, and not of the process: another one has been pulled before it.
      await upstream.rate(0);
      await get(`${server.url}/v2/${other.repository}/manifests/latest`);
      await download(server, [`${server.url}/v2/${other.repository}/blobs/${other.layer}`]);
      await upstream.rate(rate);
      await get(`${server.url}/v2/${repository}/manifests/latest`);
      const before = await upstream.transfers();
      const pulled = await download(server, [`${server.url}${path}`], { clients });
      const made = (await upstream.transfers()) - before;
      await server.stop();
      return { ...pulled, transfers: made };
    };
    const contenders = {
      direct: () => download(direct, [`${upstream.url}${path}`], { clients: 1 }),
      entrepot: cold(entrepot),
      ...Object.fromEntries(peers.map((peer) => [peer.name, cold(peer)])),
    };
    const taken = await alternate(kind, contenders, rounds, say);
    row(taken, ['seconds', 'firstByteMs']);
    const transfers = Math.max(...taken.rounds.map((round) => round.entrepot.transfers));
    verdict(`${kind}: upstream transfers`, transfers, '≤', 1);
    if (most !== undefined) goal(taken, 'entrepot', 'direct', 'seconds', '≤', most);
    if (peers.length > 0) goal(taken, 'entrepot', 'official', 'seconds', '≤', 0.7);
    if (clients === 1 && rate > 0) {
      const later = figure(taken, 'entrepot', 'firstByteMs').median - figure(taken, 'direct', 'firstByteMs').median;
      verdict(`${kind}: first byte later than direct, ms`, later, '≤', 5);
    }
  }
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
    const { peak, slowest } = await crowd(ours, path, options, Math.max(5, seconds * 2), anonymousMiB);
    verdict(kind, peak, '≤', most);
    if (slowest !== undefined) verdict(`${kind}: the slowest, kB/s`, slowest / 1000, '≥', 90);
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
  const contenders = Object.fromEntries(
    [one, two].map((server) => [server.name, () => hammer(server, paths, { seconds, script: join(base, 'wrk.lua') })]),
  );
  const taken = await alternate('several workers, manifest by digest, held', contenders, rounds, say);
  row(taken, ['perSecond', 'cpuPer10k']);
  goal(taken, 'two workers', 'one process', 'cpuPer10k', '≤', 1.15);
  await upstream.rate(50e6);
  const { repository, layer } = upstream.large[0];
  await get(`${two.url}/v2/${repository}/manifests/latest`);
  const before = await upstream.transfers();
  await download(two, [`${two.url}/v2/${repository}/blobs/${layer}`], { clients: 16 });
  verdict('several workers, sixteen clients, not held: upstream transfers', (await upstream.transfers()) - before, '≤', 1);
  await upstream.rate(0);
  lines.push(
    `| several workers, anonymous memory in MiB | one process ${Math.round(anonymousMiB(one.pid))}, two workers and their primary ${Math.round(anonymousMiB(two.pid))} | |`,
  );
  await Promise.all([one.stop(), two.stop()]);
}

function row(taken, whats) {
  for (const what of whats)
    lines.push(
      `| ${taken.title}, ${units[what]} | ${taken.names
        .map((name) => {
          const { median, spread } = figure(taken, name, what);
          return `${name} ${median >= 100 ? Math.round(median).toLocaleString('en') : median.toPrecision(3)} (± ${(spread / 2).toFixed(0)} %)`;
        })
        .join(', ')} | |`,
    );
}

function goal(taken, name, peer, what, sign, than) {
  const value = ratio(taken, name, peer, what, Math.min(5, rounds));
  verdict(`${taken.title}: ${name} / ${peer}, ${units[what]}`, value, sign, than);
}

function verdict(what, value, sign, than) {
  const isMet = sign === '≥' ? value >= than : value <= than;
  lines.push(
    `| ${what} | **${value >= 100 ? Math.round(value) : value.toPrecision(3)}**, goal ${sign} ${than} | ${isMet ? 'met' : 'missed'} |`,
  );
}

async function report() {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const machine = `${cpus().length} × ${cpus()[0].model}, ${(totalmem() / 2 ** 30).toFixed(1)} GiB, Linux ${release()}, Node ${process.version}`;
  const text = [
    '# What it does beside others',
    '',
    `Written by \`npm run bench -- --write\`; entrepot ${version}, ${machine}; medians of ${rounds} alternating rounds, spread in brackets.`,
    '',
    '| what | figure | |',
    '| --- | --- | --- |',
    ...lines,
    '',
  ].join('\n');
  process.stdout.write(text);
  if (!values.write) return;
  const file = new URL('RESULTS.md', import.meta.url).pathname;
  writeFileSync(file, text);
  execFileSync('npx', ['--no-install', 'oxfmt', file]);
}
