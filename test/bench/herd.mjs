// Many clients at once on one cold blob, clients and upstream in processes of their own: npm run bench:herd
//   [--clients 50] [--mib 100] [--rate 20]     rate: MB/s that the upstream sends
// Prints how many transfers the upstream made, how late each client's first byte was after the upstream's, whether every
// digest is right, and by how much the server's anonymous memory grew.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '50' },
    mib: { type: 'string', default: '100' },
    rate: { type: 'string', default: '20' },
    role: { type: 'string', default: 'parent' },
    url: { type: 'string', default: '' },
  },
});
const clients = Number(values.clients);
const bytes = Number(values.mib) * 1024 * 1024;
const perSecond = Number(values.rate) * 1_000_000;
const now = () => performance.timeOrigin + performance.now();

const roles = { parent, upstream, clients: runClients };
await roles[values.role]();

/** The same bytes in every process, so that nothing need be handed over. */
function content() {
  const block = createHash('sha512').update('entrepot').digest();
  return Buffer.alloc(bytes, block);
}

async function upstream() {
  const blob = content();
  const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
  const server = createServer((incoming, outgoing) => {
    const wanted = incoming.url.includes(`/blobs/${digest}`);
    outgoing.writeHead(wanted ? 200 : incoming.url === '/v2/' ? 200 : 404, wanted ? { 'content-length': blob.length } : {});
    if (!wanted || incoming.method === 'HEAD') return outgoing.end();
    process.send({ kind: 'get', at: now() });
    drip(outgoing, blob);
  });
  server.listen(0, '127.0.0.1', () => process.send({ kind: 'listening', port: server.address().port, digest }));
}

function drip(outgoing, blob) {
  const started = now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(blob.length, Math.ceil(((now() - started) / 1000) * perSecond) + 65536);
    if (due > sent) outgoing.write(blob.subarray(sent, due));
    sent = due;
    if (sent < blob.length) return;
    clearInterval(timer);
    outgoing.end();
  }, 5);
  outgoing.on('close', () => clearInterval(timer));
}

async function runClients() {
  const results = await Promise.all(Array.from({ length: clients }, () => pull(values.url)));
  process.send({ kind: 'done', results });
}

function pull(url) {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    let first;
    request(url, { agent: false }, (incoming) => {
      incoming.on('data', (chunk) => {
        first ??= now();
        hash.update(chunk);
      });
      incoming.on('end', () =>
        resolve({ first, ended: now(), status: incoming.statusCode, digest: `sha256:${hash.digest('hex')}` }),
      );
      incoming.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

async function parent() {
  const main = new URL('../../dist/main.js', import.meta.url).pathname;
  if (!existsSync(main)) throw new Error('dist/main.js is not there: npm run build');
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-herd-'));
  const started = [];
  try {
    const source = start(
      started,
      [import.meta.filename, '--role', 'upstream', '--mib', values.mib, '--rate', values.rate],
      ['ipc'],
    );
    const gets = [];
    source.on('message', (message) => message.kind === 'get' && gets.push(message.at));
    const { port, digest } = await message(source, 'listening');
    const server = await serve(started, main, directory, port);
    const before = anonymousMiB(server.pid);
    const url = `${server.url}/v2/library/herd/blobs/${digest}`;
    const herd = start(
      started,
      [import.meta.filename, '--role', 'clients', '--clients', values.clients, '--url', url],
      ['ipc'],
    );
    let peak = before;
    const sampling = setInterval(() => (peak = Math.max(peak, anonymousMiB(server.pid))), 50);
    const { results } = await message(herd, 'done');
    clearInterval(sampling);
    const delays = results.map(({ first }) => first - gets[0]).sort((a, b) => a - b);
    console.log(`clients                    ${clients}, blob ${values.mib} MiB, upstream ${values.rate} MB/s`);
    console.log(`upstream GETs              ${gets.length}`);
    console.log(`digests right              ${results.filter((result) => result.digest === digest).length} of ${clients}`);
    console.log(`first byte after upstream  median ${delays[clients >> 1].toFixed(0)} ms, last ${delays.at(-1).toFixed(0)} ms`);
    console.log(
      `last client done after     ${((Math.max(...results.map(({ ended }) => ended)) - gets[0]) / 1000).toFixed(2)} s`,
    );
    console.log(`a direct download takes    ${(bytes / perSecond).toFixed(2)} s`);
    console.log(`anonymous memory           ${before.toFixed(0)} MiB idle, +${(peak - before).toFixed(0)} MiB at its highest`);
  } finally {
    for (const child of started) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

function start(started, args, extra) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', ...extra] });
  started.push(child);
  return child;
}

async function message(child, kind) {
  for (;;) {
    const [found] = await once(child, 'message');
    if (found.kind === kind) return found;
  }
}

async function serve(started, main, directory, port) {
  const file = join(directory, 'config.yml');
  const settings = {
    http: { addr: '127.0.0.1:0' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    upstreams: { source: { url: `http://127.0.0.1:${port}` } },
    routes: [{ match: ['**'], upstreams: ['source'] }],
    log: { accesslog: { disabled: true } },
  };
  writeFileSync(file, JSON.stringify(settings));
  const child = start(started, [main, 'serve', file], []);
  let text = '';
  for await (const chunk of child.stdout) {
    text += chunk;
    const line = text.split('\n').find((candidate) => candidate.includes('"listening"'));
    if (line !== undefined) return { pid: child.pid, url: `http://${JSON.parse(line).addresses.main}` };
  }
  throw new Error(`the server did not start: ${text}`);
}

function anonymousMiB(pid) {
  return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
