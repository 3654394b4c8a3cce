// The least that Node does for an answer, to see what is ours and what is Node's: bare.mjs socket|http|files PORT FROM.
// `socket`: whatever comes is answered with one ready piece of memory; nothing is parsed. `http`: the same by Node's http. Both say
// what was saved in the file FROM. `files`: what lies below FROM, read into memory and written to a socket, since Node has no sendfile;
// both in the one thread.
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';

const PIECE_BYTES = 1024 * 1024;
const [, , mode, port, from] = process.argv;
const servers = { socket: bareSocket, http: bareHttp, files: bareFiles };
servers[mode]().listen(Number(port), '127.0.0.1', 1024);

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

function headOf(headers) {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 200 OK\r\n${fields.join('')}\r\n`;
}
