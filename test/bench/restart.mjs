// How long a start takes on a large store, after a kill: npm run bench:restart [-- --objects 100000 --runs 5]
// The records of every object are there (side/stock.mjs), and the files of up to 200,000.
// Prints, for a store of one object and for the large one, in turn: spawn to the first 200 on /v2/, spawn to the first cached manifest,
// and the processor time that the server had used by then (the only one of the three that other work on the machine leaves alone).
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alternate, figure } from './side/compare.mjs';
import { ask, live } from './side/life.mjs';
import { makeStock } from './side/stock.mjs';

const { values } = parseArgs({
  options: { objects: { type: 'string', default: '100000' }, runs: { type: 'string', default: '5' } },
});
const objects = Number(values.objects);
const FILES_MAX = 200_000;

const base = mkdtempSync(join(tmpdir(), 'entrepot-restart-'));
process.on('exit', () => rmSync(base, { recursive: true, force: true }));

const started = performance.now();
const contenders = { [named(1)]: await made(1), [named(objects)]: await made(objects) };
console.log(
  `${objects} objects written in ${Math.round((performance.now() - started) / 1000)} s, ${Math.min(objects, FILES_MAX)} of them with files`,
);
// Each makes its directory whole first.
for (const run of Object.values(contenders)) await run();
const taken = await alternate('restart', contenders, Number(values.runs));
const TITLES = {
  ready: 'spawn to 200 on /v2/',
  manifest: 'spawn to the first cached manifest',
  cpu: 'processor time of the server',
};
for (const [what, title] of Object.entries(TITLES)) {
  for (const name of taken.names) {
    const { median, spread } = figure(taken, name, what);
    console.log(
      `${title.padEnd(36)} ${name.padStart(16)}: median ${Math.round(median)} ms, spread ${Math.round(spread)} %, of ${values.runs} runs`,
    );
  }
}

function named(count) {
  return count === 1 ? '1 object' : `${count} objects`;
}

/** Yields one life, that ends with a kill. */
async function made(count) {
  const directory = join(base, String(count));
  const stock = await makeStock(directory, { objects: count, hasFile: (at) => at < FILES_MAX });
  const config = join(directory, 'config.yml');
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      log: { accesslog: { disabled: true } },
      http: { addr: '127.0.0.1:0' },
      storage: { filesystem: { rootdirectory: directory } },
      cache: { maxsize: '100TiB', keepfree: '0%' },
      upstreams: { up: { url: 'http://127.0.0.1:9' } },
      routes: [{ match: 'docker.io/**', name: 'hub', upstreams: ['up'] }],
      names: { default: 'docker.io' },
    }),
  );
  const { path, digest } = stock.object(0);
  return async () => {
    const server = await live(config);
    const body = await ask(`${server.url}${path}`);
    const answered = performance.now() - server.spawned;
    const got = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    if (got !== digest) throw new Error(`${path} is ${got}`);
    const cpu = server.cpuSeconds() * 1000;
    await server.kill();
    return { ready: server.readyMs, manifest: answered, cpu };
  };
}
