// A registry in a process of its own: node mixed-upstream.mjs DIRECTORY SEED BYTES_PER_SECOND
// Serves what lies in DIRECTORY under its hex, to whatever repository asks, and the tags of DIRECTORY/tags.json; one blob in
// twenty breaks off. `PUT /move` with {"name","tag","digest"} moves a tag. Prints its address.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';

const [directory, seed, rate] = process.argv.slice(2);
const PIECE = 64 * 1024;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const tags = new Map(Object.entries(JSON.parse(readFileSync(join(directory, 'tags.json'), 'utf8'))));

let state = Number(seed);
function fraction() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}

const server = createServer((request, response) => void answer(request, response));

async function answer(request, response) {
  if (request.url === '/v2/') return response.end('{}');
  if (request.url === '/move') {
    const { name, tag, digest } = await json(request);
    tags.set(`${name}:${tag}`, digest);
    return response.end();
  }
  const [, name, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)/.exec(request.url) ?? [];
  const digest = kind === 'manifests' ? (tags.get(`${name}:${reference}`) ?? reference) : reference;
  const bytes = digest === undefined ? undefined : read(digest);
  if (bytes === undefined) return response.writeHead(404).end();
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const from = Number(first ?? 0);
  const to = last ? Math.min(bytes.length, Number(last) + 1) : bytes.length;
  response.writeHead(first === undefined ? 200 : 206, {
    'content-length': to - from,
    'content-type': kind === 'manifests' ? MANIFEST : 'application/octet-stream',
    'docker-content-digest': digest,
    ...(first === undefined ? {} : { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` }),
  });
  if (request.method === 'HEAD') response.end();
  else send(response, bytes.subarray(from, to), kind === 'blobs' && fraction() < 0.05);
}

function read(digest) {
  try {
    return readFileSync(join(directory, digest.slice('sha256:'.length)));
  } catch {
    return undefined;
  }
}

function send(response, body, breaks) {
  const until = breaks ? Math.floor(fraction() * body.length) : body.length;
  let at = 0;
  const next = () => {
    if (response.destroyed) return;
    const piece = body.subarray(at, Math.min(until, at + PIECE));
    at += piece.length;
    response.write(piece);
    if (at < until) setTimeout(next, (piece.length / Number(rate)) * 1000);
    else if (until === body.length) response.end();
    else setTimeout(() => response.destroy(), 5);
  };
  next();
}

server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`));
