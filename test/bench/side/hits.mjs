// Goals 1 and 2: what is held, beside others, and beside a bare Node (bare.mjs), which says how much of a figure is ours. Each runs once
// before it is measured: what has just started is still being compiled, and a server that stands for months is not.
import { join } from 'node:path';
import { alternate } from './compare.mjs';
import { bareNode, certificate, entrepot, nginxCache, nginxFiles, official } from './contenders.mjs';
import { download, hammer } from './load.mjs';
import { flushDisks } from './settle.mjs';
import { holdLarge, saveAnswer, SMALL, warm } from './work.mjs';

const LEAST = { 'manifest by tag': 100, 'manifest by digest': 40, 'small blob': 60 };

/** Small answers from what is held. */
export async function small({ base, upstream, rounds, seconds, say, table }) {
  const ours = await entrepot(base, upstream.url);
  const peers = [await official(base, upstream.url), await nginxCache(base, upstream.url)];
  for (const [kind, pathOf] of Object.entries(SMALL)) {
    const paths = upstream.small.map(pathOf);
    for (const server of [ours, ...peers]) await warm(server, paths);
    const answer = await saveAnswer(base, `${ours.url}${paths[0]}`);
    const bare = [await bareNode(base, 'socket', answer), await bareNode(base, 'http', answer)];
    const contenders = Object.fromEntries(
      [ours, ...peers, ...bare].map((server) => [
        server.name,
        () => hammer(server, paths, { seconds, script: join(base, 'wrk.lua') }),
      ]),
    );
    for (const run of Object.values(contenders)) await run();
    const taken = await alternate(`${kind}, held`, contenders, rounds, say);
    table.row(taken, ['perSecond', 'cpuPer10k']);
    table.goal(taken, 'entrepot', 'official', 'perSecond', '≥', LEAST[kind]);
    table.goal(taken, 'entrepot', 'nginx-cache', 'perSecond', '≥', 0.45);
    for (const { name } of bare) table.beside(taken, 'entrepot', name, 'perSecond');
    await Promise.all(bare.map((server) => server.stop()));
  }
  await Promise.all([ours, ...peers].map((server) => server.stop()));
}

/** Large blobs from what is held. */
export async function large({ base, upstream, rounds, say, table }) {
  const tls = certificate(base);
  for (const { kind, options, clients, least } of [
    { kind: 'large blob, held, one client', options: {}, clients: 1, least: 1.1 },
    { kind: 'large blob, held, sixteen clients', options: {}, clients: 16, least: 1 },
    { kind: 'large blob, held, over TLS', options: { tls }, clients: 1, least: 0.85 },
  ]) {
    const ours = await entrepot(base, upstream.url, options);
    const files = await nginxFiles(base, options);
    const path = await holdLarge(ours, files, upstream.large[0]);
    const bare = options.tls === undefined ? [await bareNode(base, 'files', files.files)] : [];
    const servers = [ours, files, ...bare];
    // Two seconds or so each: what the machine does besides for a tenth of one is not to be all of a round.
    const times = clients === 1 ? 30 : 3;
    const contenders = Object.fromEntries(
      servers.map((server) => [server.name, () => download(server, [`${server.url}${path}`], { clients, times })]),
    );
    for (const run of Object.values(contenders)) await run();
    flushDisks();
    const taken = await alternate(kind, contenders, rounds, say);
    table.row(taken, ['gigabytesPerSecond', 'cpuPerGigabyte']);
    table.goal(taken, 'entrepot', 'nginx-files', 'gigabytesPerSecond', '≥', least);
    if (clients === 1 && options.tls === undefined) table.goal(taken, 'entrepot', 'nginx-files', 'cpuPerGigabyte', '≤', 1.2);
    for (const { name } of bare) {
      table.beside(taken, 'entrepot', name, 'gigabytesPerSecond');
      table.beside(taken, 'entrepot', name, 'cpuPerGigabyte');
      table.beside(taken, name, 'nginx-files', 'cpuPerGigabyte');
    }
    await Promise.all(servers.map((server) => server.stop()));
  }
}
