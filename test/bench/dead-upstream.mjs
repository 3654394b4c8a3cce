// What a dead first upstream costs a request: npm run bench:dead-upstream [-- --requests 100]
// Twice, with one that accepts and never answers, and with one whose queue of connections is full. Prints the time to a
// cold blob's end without it, with it while the breaker is closed, and with it once the breaker is open.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { requests: { type: 'string', default: '100' } } });
const requests = Number(values.requests);
const main = new URL('../../dist/main.js', import.meta.url).pathname;
if (!existsSync(main)) throw new Error('dist/main.js is not there: npm run build');

const LIMITS = { connect: '300ms', headers: '300ms' };
const FAILURES = 5;
const agent = new Agent({ keepAlive: true });
const ends = [];
let made = 0;

const blobs = new Map();
const hub = createServer((incoming, outgoing) => {
  const blob = blobs.get(/sha256:[0-9a-f]{64}$/.exec(incoming.url)?.[0]);
  outgoing.writeHead(blob === undefined ? 404 : 200, { 'content-length': blob?.length ?? 0 });
  outgoing.end(incoming.method === 'HEAD' ? undefined : blob);
});

try {
  const hubUrl = await listening(hub);
  const alone = await serve({ hub: { url: hubUrl } });
  await timed(alone, 2 * requests); // Until it has warmed up.
  const without = median(await timed(alone, requests));
  console.log(`median of ${requests} cold blobs of 1 KiB, in ms; limits: connect ${LIMITS.connect}, headers ${LIMITS.headers}`);
  console.log(`without a dead upstream        ${without.toFixed(2)}`);
  for (const [what, url] of [
    ['accepts and never answers', await silent()],
    ['queue of connections is full', await full()],
  ]) {
    const server = await serve({ dead: { url, timeout: LIMITS }, hub: { url: hubUrl } });
    const closed = await timed(server, FAILURES);
    const open = await timed(server, requests);
    console.log(`first upstream: ${what}`);
    console.log(`  breaker closed, each         ${closed.map((ms) => ms.toFixed(0)).join(' ')}`);
    console.log(`  breaker open                 ${median(open).toFixed(2)}, lost ${(median(open) - without).toFixed(2)}`);
    console.log(`  breaker open, slowest        ${Math.max(...open).toFixed(2)}`);
  }
} finally {
  agent.destroy();
  for (const end of ends.toReversed()) await end();
}

/** Milliseconds of each of `count` cold pulls, one after the other. */
async function timed(url, count) {
  const took = [];
  for (let turn = 0; turn < count; turn++) {
    const blob = Buffer.alloc(1024, `blob ${made++} `);
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    blobs.set(digest, blob);
    const started = performance.now();
    await pull(`${url}/v2/library/bench/blobs/${digest}`, blob);
    took.push(performance.now() - started);
  }
  return took;
}

async function pull(url, blob) {
  const outgoing = request(url, { agent }).end();
  const [incoming] = await once(outgoing, 'response');
  const chunks = await incoming.toArray();
  if (incoming.statusCode !== 200 || !Buffer.concat(chunks).equals(blob)) throw new Error(`answered ${incoming.statusCode}`);
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

async function silent() {
  const sockets = new Set();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  ends.push(() => sockets.forEach((socket) => socket.destroy()));
  return listening(server);
}

/** A listener that never accepts, in a process of its own, and as many connections as its queue takes. */
async function full() {
  const code = `const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  ends.push(() => child.kill('SIGKILL'));
  const port = Number(await once(child.stdout, 'data'));
  for (let accepted = true; accepted;) {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
    ends.push(() => socket.destroy());
    accepted = await Promise.race([
      once(socket, 'connect').then(() => true),
      new Promise((resolve) => setTimeout(() => resolve(false), 300)),
    ]);
  }
  return `http://127.0.0.1:${port}`;
}

async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

async function serve(upstreams) {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-dead-'));
  const file = join(directory, 'config.yml');
  const settings = {
    http: { addr: '127.0.0.1:0' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    upstreams,
    routes: [{ match: ['**'], upstreams: Object.keys(upstreams) }],
    log: { accesslog: { disabled: true } },
  };
  writeFileSync(file, JSON.stringify(settings));
  const child = spawn(process.execPath, [main, 'serve', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  ends.push(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  let text = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    text += chunk;
    const line = text.split('\n').find((candidate) => candidate.includes('"listening"'));
    if (line === undefined) continue;
    child.stdout.resume();
    return `http://${JSON.parse(line).addresses.main}`;
  }
  throw new Error(`the server did not start: ${text}`);
}
