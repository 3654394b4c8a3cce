// Whether speed was lost: a few ratios beside those of the record, in less than a minute. Machines are noisy, so that only half of what
// was recorded is a loss, and what looks like one is measured again.
import { join } from 'node:path';
import { alternate, ratio } from './compare.mjs';
import { entrepot, nginxCache, nginxFiles } from './contenders.mjs';
import { download, hammer } from './load.mjs';
import { recordedRatio } from './record.mjs';
import { coldPull, directPull, holdLarge, SMALL, warm } from './work.mjs';

const ROUNDS = 3;
const SECONDS = 1;
const AGAIN_MAX = 3;

/** Yields { what, recorded, now, lost } of each ratio: `now` and `recorded` are such that more is better. */
export async function smoke({ base, upstream, record, say }) {
  const results = [];
  /** `unit`: the row's, `figure`: ours. */
  const compare = async (title, unit, figure, contenders) => {
    const [name, peer] = Object.keys(contenders);
    const better = (value) => (figure === 'seconds' ? 1 / value : value);
    const recorded = better(recordedRatio(record, `${title}, ${unit}`, name, peer));
    const measure = async () => better(ratio(await alternate(title, contenders, ROUNDS, say), name, peer, figure, ROUNDS));
    let now = await measure();
    for (let again = 0; now < recorded / 2 && again < AGAIN_MAX; again += 1) {
      say(`${title}: ${name} / ${peer} is ${now.toPrecision(3)} instead of ${recorded.toPrecision(3)}: once more`);
      now = Math.max(now, await measure());
    }
    results.push({ what: `${title}: ${name} / ${peer}`, recorded, now, lost: now < recorded / 2 });
  };
  await smallAnswers(base, upstream, compare);
  await largeBlob(base, upstream, compare);
  await compare('first pull, unthrottled', 's', 'seconds', {
    entrepot: () => coldPull(entrepot, base, upstream, { rate: 0, clients: 1 }),
    direct: () => directPull(upstream),
  });
  return results;
}

async function smallAnswers(base, upstream, compare) {
  const servers = [await entrepot(base, upstream.url), await nginxCache(base, upstream.url)];
  let warming = 3 * SECONDS;
  for (const [kind, pathOf] of Object.entries(SMALL)) {
    const paths = upstream.small.map(pathOf);
    for (const server of servers) await warm(server, paths);
    const load = (server, seconds) => hammer(server, paths, { seconds, script: join(base, 'wrk.lua') });
    const contenders = Object.fromEntries(servers.map((server) => [server.name, () => load(server, SECONDS)]));
    // What has just started is still being compiled.
    await load(servers[0], warming);
    warming = SECONDS;
    await compare(`${kind}, held`, '/s', 'perSecond', contenders);
  }
  await Promise.all(servers.map((server) => server.stop()));
}

async function largeBlob(base, upstream, compare) {
  const [ours, files] = [await entrepot(base, upstream.url), await nginxFiles(base)];
  const path = await holdLarge(ours, files, upstream.large[0]);
  const contenders = Object.fromEntries(
    [ours, files].map((server) => [server.name, () => download(server, [`${server.url}${path}`], { times: 3 })]),
  );
  await compare('large blob, held, one client', 'GB/s', 'gigabytesPerSecond', contenders);
  await Promise.all([ours.stop(), files.stop()]);
}
