// The least that Node does for an answer, to see what is ours and what is Node's: bare.mjs socket|http|workers|files|fill PORT FROM [INTO].
// `socket`: whatever comes is answered with one ready piece of memory; nothing is parsed. `http`: the same by Node's http; `workers`:
// in two processes on one port. All say what was saved in the file FROM. `files`: what lies below FROM, read into memory and written to a socket, since Node has no sendfile;
// both in the one thread. `fill`: what the registry FROM sends, hashed, written to a file below INTO, and to all who ask for it meanwhile, from
// the memory that it came in: one transfer, and nothing of what makes a cache (no verdict, no record, no fsync, nobody who comes late or goes).
import cluster from 'node:cluster';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

const PIECE_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;
const [, , mode, port, from, into] = process.argv;
const servers = { socket: bareSocket, http: bareHttp, workers: bareHttp, files: bareFiles, fill: bareFill };
if (mode === 'workers' && cluster.isPrimary) startWorkers();
else servers[mode]().listen(Number(port), '127.0.0.1', 1024);

/** Whoever is free takes the next connection, as it is with ours. */
function startWorkers() {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  for (let worker = 0; worker < 2; worker += 1) cluster.fork();
}

function bareSocket() {
  const { head, body } = answer();
  const ready = Buffer.concat([Buffer.from(head), body]);
  return createServer((socket) => socket.on('data', () => socket.write(ready)).on('error', () => undefined));
}

function bareHttp() {
  const { headers, body } = answer();
  return createHttp((_, outgoing) => outgoing.writeHead(200, headers).end(body));
}

/** As it was saved from a server that has more to do. */
function answer() {
  const { headers, body } = JSON.parse(readFileSync(from, 'utf8'));
  return { headers, head: headOf(headers), body: Buffer.from(body, 'base64') };
}

/** One request a connection, which is all that the benchmark's client sends. Reads stop the process: what waits for nobody costs least. */
function bareFiles() {
  return createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (request) => {
      const path = /^GET (\S+)/.exec(request.toString('latin1'))?.[1] ?? '/';
      try {
        send(socket, openSync(join(from, path)));
      } catch {
        socket.destroy();
      }
    });
  });
}

function send(socket, file) {
  const { size } = fstatSync(file);
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let at = 0;
  const next = () => {
    if (at === size || socket.destroyed) return;
    const count = readSync(file, buffer, 0, PIECE_BYTES, at);
    at += count;
    // In another turn of the loop, or nobody else would have one.
    socket.write(buffer.subarray(0, count), () => setImmediate(next));
  };
  socket.on('close', () => closeSync(file));
  socket.write(headOf({ 'Content-Length': size }), next);
}

/** Of each path one transfer. */
function bareFill() {
  const fills = new Map();
  return createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (request) => {
      const path = /^GET (\S+)/.exec(request.toString('latin1'))?.[1] ?? '/';
      if (!fills.has(path))
        fills.set(
          path,
          fill(path, () => fills.delete(path)),
        );
      fills.get(path)(socket);
    });
  });
}

/** Goes on when all have taken the last read: what comes is read into the same memory again. Yields how one more client joins. */
function fill(path, ended) {
  const file = openSync(join(into, path.replaceAll('/', '_')), 'w+');
  const hash = createHash('sha256');
  const { hostname, port: theirs, host } = new URL(from);
  const clients = new Set();
  let begun = false;
  let at = 0;
  let waiting = 0;
  const taken = () => {
    waiting -= 1;
    if (waiting === 0) upstream.resume();
  };
  const upstream = connect({
    host: hostname,
    port: Number(theirs),
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback(count, memory) {
        const bytes = memory.subarray(0, count);
        waiting = clients.size;
        for (const client of clients) client.write(bytes, taken);
        // The head is written too, so that who comes late has it from there.
        at += writeSync(file, bytes, 0, count, at);
        hash.update(begun ? bytes : bytes.subarray(bytes.indexOf('\r\n\r\n') + 4));
        begun = true;
        return false;
      },
    },
  });
  upstream.on('error', () => undefined);
  upstream.on('close', () => {
    ended();
    hash.digest();
    closeSync(file);
    for (const client of clients) client.end();
  });
  upstream.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return (client) => {
    const missed = Buffer.allocUnsafeSlow(at);
    client.write(missed.subarray(0, readSync(file, missed, 0, at, 0)));
    clients.add(client);
  };
}

function headOf(headers) {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 200 OK\r\n${fields.join('')}\r\n`;
}
