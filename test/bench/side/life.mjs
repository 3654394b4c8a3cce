// One life of the program on a configuration: how long it took to begin, what it says while it lives, and what it cost.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { bytesWritten, cpuSeconds } from './processes.mjs';

const MAIN = new URL('../../../dist/main.js', import.meta.url).pathname;
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Resolves with its first 200 on /v2/; `readyMs`: since it was spawned. `expected`: of its log, the next record with that message. */
export async function live(config, { node = [], env = {} } = {}) {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is not there: npm run build');
  const spawned = performance.now();
  const child = spawn(process.execPath, [...node, MAIN, 'serve', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { UV_THREADPOOL_SIZE: '16', ...process.env, ...env },
  });
  running.add(child);
  const exited = once(child, 'exit').finally(() => running.delete(child));
  const waiting = new Map();
  const expected = (message) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`it did not say ${message} within two minutes`)), 120_000);
      waiting.set(message, (record) => {
        clearTimeout(late);
        resolve(record);
      });
      void exited.then(([code]) => reject(new Error(`it ended (${code}) before it said ${message}`)));
    });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const record = line.startsWith('{') ? JSON.parse(line) : {};
    waiting.get(record.msg)?.(record);
  });
  const { addresses } = await expected('listening');
  const url = `http://${addresses.main}`;
  await ask(`${url}/v2/`);
  const end = async (signal) => {
    child.kill(signal);
    await exited;
  };
  return {
    url,
    addresses,
    pid: child.pid,
    spawned,
    readyMs: performance.now() - spawned,
    expected,
    reload: () => child.kill('SIGHUP'),
    cpuSeconds: () => cpuSeconds(child.pid),
    bytesWritten: () => bytesWritten(child.pid),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

/** The body of a 200; throws at anything else. */
export function ask(url, headers = {}) {
  return new Promise((resolve, reject) => {
    request(url, { agent: false, headers }, (reply) => {
      buffer(reply).then((body) => {
        if (reply.statusCode === 200) resolve(body);
        else reject(new Error(`${url}: ${reply.statusCode} ${body.toString().slice(0, 200)}`));
      }, reject);
    })
      .on('error', reject)
      .end();
  });
}
