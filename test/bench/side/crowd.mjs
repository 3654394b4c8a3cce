// Very many clients at once, in a process of their own: idle ones, slow ones, ones that stop reading. Yields the server's peak of
// anonymous memory while they are there, and what they got, bytes a second: the least of the slow ones, and the median of the fast.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { median } from './compare.mjs';

const WARM_MS = 10_000;

export async function crowd({ url, pid }, path, options, seconds, memoryOf) {
  const child = fork(new URL(import.meta.url).pathname, [JSON.stringify({ url, path, seconds, ...options })]);
  const exited = once(child, 'exit');
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, memoryOf(pid))), 250);
  const [result] = await once(child, 'message');
  clearInterval(timer);
  await exited;
  if (result.fault !== undefined) throw new Error(result.fault);
  return { peak, slowest: result.slowest, fast: result.fast };
}

if (process.argv[2]?.startsWith('{') && process.send !== undefined) await play(JSON.parse(process.argv[2]));

async function play({ url, path, seconds, idle = 0, slow = [], stalled = 0 }) {
  const { hostname, port } = new URL(url);
  const ask = (target, keep) =>
    `GET ${target} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: ${keep ? 'keep-alive' : 'close'}\r\n\r\n`;
  const open = (request, options = {}) =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host: hostname, port: Number(port), highWaterMark: 65_536, ...options }, () => {
        socket.write(request);
        resolve(socket);
      });
      socket.on('error', reject);
    });
  try {
    const sockets = [];
    const each = async (count, begin) => {
      for (let at = 0; at < count; at += 200)
        sockets.push(...(await Promise.all(Array.from({ length: Math.min(200, count - at) }, begin))));
    };
    await each(idle, async () => (await open(ask('/v2/', true))).resume());
    await each(stalled, async () => (await open(ask(path, false))).pause());
    const got = [];
    for (const [count, rate] of slow)
      await each(count, async () => {
        const socket = (await open(ask(path, false))).pause();
        const own = { bytes: 0, rate, began: performance.now(), warmBytes: 0 };
        got.push(own);
        const timer = setInterval(() => {
          // No more than is due: what one read brings at most would be a sixth of what is measured.
          for (;;) {
            const due = Math.floor(((performance.now() - own.began) / 1000) * rate) - own.bytes;
            const bytes = due > 0 ? socket.read(Math.min(due, socket.readableLength || 1)) : null;
            if (bytes === null) break;
            own.bytes += bytes.length;
          }
        }, 50);
        socket.on('close', () => clearInterval(timer));
        return socket;
      });
    const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    // First the kernel fills what it buffers for each of them, some megabytes: nobody is slow who waits for gigabytes of that.
    if (got.length > 0) await pass(WARM_MS);
    for (const own of got) own.warmBytes = own.bytes;
    const warmAt = performance.now();
    await pass(seconds * 1000);
    const took = performance.now() - warmAt;
    const ratesOf = (wanted) =>
      got.filter(({ rate }) => rate === wanted).map(({ bytes, warmBytes }) => ((bytes - warmBytes) / took) * 1000);
    const [slowest, fastest] = [slow[0], slow.at(-1)].map((kind) => (kind === undefined ? [] : ratesOf(kind[1])));
    for (const socket of sockets) socket.destroy();
    process.send(slow.length === 0 ? {} : { slowest: Math.min(...slowest), fast: median(fastest) });
  } catch (error) {
    process.send({ fault: error.message });
  }
  process.disconnect();
}
