// A registry of one blob, in a process of its own: node blob-server.mjs SIZE_BYTES BYTES_PER_SECOND
// Prints {"url","digest","size"}; GET /seen answers [{"method","range","firstByteAt"}], epoch milliseconds.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const size = Number(process.argv[2]);
const perSecond = Number(process.argv[3]);
const TICK_MS = 10;

const block = Buffer.allocUnsafe(1024 * 1024);
for (let at = 0, state = 1; at < block.length; at += 4) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  block.writeUInt32LE(state, at);
}
const hash = createHash('sha256');
for (let left = size; left > 0; left -= block.length) hash.update(block.subarray(0, Math.min(left, block.length)));
const digest = `sha256:${hash.digest('hex')}`;
const seen = [];

const server = createServer((request, response) => {
  if (request.url === '/seen') return response.end(JSON.stringify(seen));
  if (request.url === '/v2/') return response.end('{}');
  if (!request.url.endsWith(`/blobs/${digest}`)) return response.writeHead(404).end();
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const from = match ? Number(match[1]) : 0;
  const to = match && match[2] !== '' ? Math.min(size, Number(match[2]) + 1) : size;
  const one = { method: request.method, range: request.headers.range, firstByteAt: undefined };
  seen.push(one);
  response.writeHead(match ? 206 : 200, {
    'content-length': to - from,
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    ...(match ? { 'content-range': `bytes ${from}-${to - 1}/${size}` } : {}),
  });
  if (request.method === 'HEAD') return response.end();
  pace(response, from, to, one);
});

/** As many bytes by now as the rate allows since the start: late timers do not slow it down. */
function pace(response, from, to, one) {
  const started = performance.now();
  let at = from;
  const timer = setInterval(() => {
    const due = Math.min(to, from + ((performance.now() - started + TICK_MS) / 1000) * perSecond);
    while (at < due && !response.writableNeedDrain) {
      const start = at % block.length;
      const piece = block.subarray(start, Math.min(block.length, start + Math.ceil(due - at), start + to - at));
      one.firstByteAt ??= Date.now();
      response.write(piece);
      at += piece.length;
    }
    if (at < to) return;
    clearInterval(timer);
    response.end();
  }, TICK_MS);
  response.on('close', () => clearInterval(timer));
}

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.address().port}`, digest, size })}\n`);
});
