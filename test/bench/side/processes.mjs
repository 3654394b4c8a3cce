// Programs under test, started and stopped by this bench alone, and what they cost.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { request as overTls } from 'node:https';

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program whose output is shown only if it ends before it was stopped. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.length < 200 && said.push(chunk));
  running.add(child);
  let stopped = false;
  child.on('exit', (code) => {
    running.delete(child);
    if (!stopped)
      process.stderr.write(`${program} ended by itself (${code}): ${Buffer.concat(said).toString().slice(-2000)}\n`);
  });
  return {
    pid: child.pid,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      stopped = true;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

export const has = (program) => spawnSync('which', [program]).status === 0;

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The official registry shows an OCI manifest to nobody who does not name its type. */
export const ACCEPT = 'application/vnd.oci.image.manifest.v1+json, */*';

/** The status and the body of a GET. */
export function get(url, headers = {}) {
  const ask = url.startsWith('https:') ? overTls : request;
  return new Promise((resolve, reject) => {
    ask(url, { agent: false, headers: { accept: ACCEPT, ...headers }, rejectUnauthorized: false }, (incoming) => {
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode, headers: incoming.headers, body: Buffer.concat(chunks) }),
      );
      incoming.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

/** Until it answers; throws after 20 s. */
export async function answers(url) {
  for (let turn = 0; turn < 400; turn += 1) {
    const status = await get(url).then(
      (reply) => reply.status,
      () => 0,
    );
    if (status > 0 && status < 500) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} never answered`);
}

/** A process and all that it started. */
export function family(pid) {
  const parents = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || !existsSync(`/proc/${entry}/stat`)) continue;
    try {
      parents.set(Number(entry), Number(statOf(entry)[1]));
    } catch {
      // It has ended.
    }
  }
  const all = [pid];
  for (const one of all) for (const [child, parent] of parents) if (parent === one) all.push(child);
  return all;
}

/** Processor time of a process and its children so far, seconds. */
export function cpuSeconds(pid) {
  return family(pid).reduce((sum, one) => sum + (Number(statOf(one)[11]) + Number(statOf(one)[12])) / 100, 0);
}

/** What a process has handed to calls that write, to whatever they write (proc(5), `wchar`). */
export function bytesWritten(pid) {
  return Number(/wchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

/** Anonymous memory of a process and its children, MiB. */
export function anonymousMiB(pid) {
  const kib = family(pid).map((one) => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0));
  return kib.reduce((sum, one) => sum + one, 0) / 1024;
}

/** proc(5): from the third field on, behind the name in parentheses. */
function statOf(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
