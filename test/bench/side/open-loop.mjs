// Pulls by a schedule, however the server is doing, in a process of its own: each answer's latency is counted from when it was due, so
// that an answer which is late for those behind it too is late for each of them (no coordinated omission). An image is asked for at its
// time; each further path of it is due when the one before has come. A thread beside it keeps the time, to some 0.1 ms, where
// Node's timers know whole milliseconds.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { seeded } from './chance.mjs';
import { quantile } from './compare.mjs';
import { ACCEPT } from './processes.mjs';

/** What a client of a schedule does before it counts: its code is compiled and its connections are opened, for which the server is not to blame. */
export const LEAD_IN_SECONDS = 1;

/**
 * `pulls`: lists of paths, one after the other. With `rate` so many begin each second, at random (Poisson) and over as many connections as
 * it takes up to `connections`, and those of the first {@link LEAD_IN_SECONDS} are not among the `seconds` that count; without it `connections`
 * clients go on as fast as they can, for `seconds` or until all are made. Latencies are in ms, to the last byte; of hits alone.
 */
export async function pullAll({ url }, pulls, { rate, seconds, connections, seed = 1 }) {
  const child = fork(new URL(import.meta.url).pathname, ['pull']);
  const exited = once(child, 'exit');
  child.send({ url, pulls, rate, seconds, connections, seed });
  const [result] = await Promise.race([once(child, 'message'), exited]);
  await exited;
  if (result?.hits === undefined) throw new Error(`${url}: ${result?.fault ?? 'the client ended'}`);
  return result;
}

if (!isMainThread && workerData?.due !== undefined) tick(workerData);
else if (process.argv[2] === 'pull' && process.send !== undefined)
  process.once('message', (task) => {
    play(task).then(
      (result) => process.send(result, () => process.exit()),
      (error) => process.send({ fault: error.message }, () => process.exit()),
    );
  });

/** Is told when it begins, once it runs, and says so when something is due. */
function tick({ due }) {
  parentPort.once('message', (epoch) => tickFrom(due, epoch));
  parentPort.postMessage('ready');
}

function tickFrom(due, epoch) {
  const asleep = new Int32Array(new SharedArrayBuffer(4));
  for (const at of due) {
    const left = epoch + at - (performance.timeOrigin + performance.now());
    if (left > 0) Atomics.wait(asleep, 0, 0, left);
    parentPort.postMessage(0);
  }
}

async function play({ url, pulls, rate, seconds = Infinity, connections, seed }) {
  const { hostname, port } = new URL(url);
  const latencies = [];
  const lateness = [];
  const waiting = [];
  const idle = [];
  let [opened, begun, ended, counted, misses, bytes] = [0, 0, 0, 0, 0, 0];
  let started = performance.now();
  const leadInMs = rate === undefined ? 0 : LEAD_IN_SECONDS * 1000;
  const due = rate === undefined ? undefined : scheduleOf(rate, leadInMs + seconds * 1000, seed, pulls.length);
  const isOver = () =>
    due === undefined ? begun === pulls.length || performance.now() - started > seconds * 1000 : begun === due.length;

  return new Promise((resolve, reject) => {
    function begin(at) {
      const paths = pulls[begun];
      begun += 1;
      ask({ paths, step: 0, due: at, counts: at - started >= leadInMs });
    }
    function ask(job) {
      const free = idle.pop();
      if (free !== undefined) free(job);
      else if (opened < connections) connect().then((send) => send(job), reject);
      else waiting.push(job);
    }
    function answered(job, isHit, length) {
      const now = performance.now();
      if (job.counts && isHit) latencies.push(now - job.due);
      if (job.counts && !isHit) misses += 1;
      if (job.counts) bytes += length;
      if (job.step + 1 < job.paths.length) return ask({ ...job, step: job.step + 1, due: now });
      ended += 1;
      if (job.counts) counted += 1;
      if (due === undefined && !isOver()) begin(now);
      if (ended === begun && isOver()) finish();
    }
    function finish() {
      const took = (performance.now() - started - leadInMs) / 1000;
      const requests = latencies.length + misses;
      resolve({
        p50: quantile(latencies, 0.5),
        p99: quantile(latencies, 0.99),
        hits: latencies.length / requests,
        requests,
        pullsPerSecond: counted / took,
        perSecond: requests / took,
        megabytesPerSecond: bytes / took / 1e6,
        clientLateMs: lateness.length === 0 ? 0 : quantile(lateness, 0.99),
      });
    }

    /** Yields how to send on it. */
    function connect() {
      opened += 1;
      let [job, head, left, length, isHit] = [undefined, '', -1, 0, false];
      const send = (next) => {
        job = next;
        [head, left] = ['', -1];
        socket.write(`GET ${job.paths[job.step]} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAccept: ${ACCEPT}\r\n\r\n`);
      };
      const take = (count, buffer) => {
        if (left < 0) {
          const before = head.length;
          head += buffer.latin1Slice(0, Math.min(count, HEAD_BYTES_MAX));
          const end = head.indexOf('\r\n\r\n');
          if (end < 0) return head.length < HEAD_BYTES_MAX || fail(`no head: ${head}`);
          if (!head.startsWith('HTTP/1.1 200')) return fail(`${job.paths[job.step]}: ${head}`);
          length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
          isHit = /cache-status: [^\r]*; ?hit/i.test(head);
          left = length - (count - (end + 4 - before));
        } else left -= count;
        if (left > 0) return true;
        if (left !== 0) return fail(`${job.paths[job.step]}: more or less than it said`);
        const done = job;
        const next = waiting.shift();
        if (next === undefined) idle.push(send);
        else send(next);
        answered(done, isHit, length);
        return true;
      };
      const fail = (text) => {
        reject(new Error(text));
        return true;
      };
      const onread = { buffer: BUFFER, callback: take };
      const socket = net.connect({ host: hostname, port: Number(port), noDelay: true, onread });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the server closed a connection')));
      return once(socket, 'connect').then(() => send);
    }

    if (due === undefined) {
      for (let at = 0; at < connections && !isOver(); at += 1) begin(performance.now());
      return;
    }
    const clock = new Worker(new URL(import.meta.url), { workerData: { due } });
    clock.on('error', reject);
    clock.on('message', (said) => {
      const now = performance.now();
      if (said === 'ready') {
        started = now;
        return clock.postMessage(performance.timeOrigin + started);
      }
      for (; begun < due.length && started + due[begun] <= now;) {
        lateness.push(now - started - due[begun]);
        begin(started + due[begun]);
      }
    });
  });
}

const HEAD_BYTES_MAX = 4096;
/** Of all connections: what is read is looked at before anything else is. */
const BUFFER = Buffer.allocUnsafe(256 * 1024);

/** When each of them begins, ms. */
function scheduleOf(rate, ms, seed, most) {
  const random = seeded(seed);
  const due = [];
  for (let at = 0; due.length < most;) {
    at -= (Math.log(1 - random()) / rate) * 1000;
    if (at > ms) break;
    due.push(at);
  }
  return due;
}
