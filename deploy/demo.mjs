// Shows in a minute, without any network, what a mirror does: npm run demo
//   node deploy/demo.mjs [PROGRAM]     PROGRAM: the built main.js, dist/main.js unless given
// One Entrepot holds an image (the origin), another pulls through (the mirror). Both listen on free ports of 127.0.0.1 and keep
// their files below one temporary directory; whichever way this ends, both are stopped and the directory is removed.
// It checks what it shows, and exits with 1 when that is not so. Node alone is needed.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const PROGRAM = process.argv[2] ?? fileURLToPath(new URL('../dist/main.js', import.meta.url));
const REPOSITORY = 'team/hello';
const TAG = '1';
/** Of the mirror's metrics: what has counted something. */
const SHOWN = /^(registry_proxy_\w+_total|entrepot_(requests|upstream_requests|fills)_total)(\{.*\})? [1-9]/;
const STOP_MS = 5_000;
const WHOLE_MS = 55_000;

const directory = mkdtempSync(join(tmpdir(), 'entrepot-demo-'));
const servers = [];
let step = 0;
let ending = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => void end(128 + constants.signals[signal], `stopped by ${signal}`));
}
// Whoever reads this may leave before its end.
process.stdout.on('error', () => void end(1, ''));
setTimeout(() => void end(1, `not done after ${WHOLE_MS / 1000} s`), WHOLE_MS).unref();

try {
  await demo();
  await end(0, 'stopped both, and removed all their files');
} catch (error) {
  await end(1, `failed: ${error.message}`);
}

async function demo() {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: npm run build`);
  const origin = await start('origin', {});
  say(`origin: a registry of its own, on ${origin.url}`);

  const image = makeImage();
  say(`push: ${REPOSITORY}:${TAG}, made on the spot, to the origin`);
  await push(origin, image);

  const routes = [{ match: 'docker.io/**', upstreams: ['first'] }];
  const mirror = await start('mirror', { upstreams: { first: { url: origin.url } }, routes });
  say(`mirror: what it does not hold it asks the origin for, on ${mirror.url}`);

  say('first pull through the mirror: all of it a miss, fetched, verified and kept');
  const first = await pull(mirror, image);
  check(
    first.every(({ how }) => how.includes('fwd=miss')),
    'the first pull should be a miss',
  );
  const asked = await upstreamRequests(mirror);
  note(`the mirror asked the origin ${asked} times`);
  await settled(mirror);

  say('second pull through the mirror: all of it a hit, from its own disk');
  const second = await pull(mirror, image);
  check(
    second.every(({ how }) => how.startsWith('entrepot; hit')),
    'the second pull should be a hit',
  );
  const more = (await upstreamRequests(mirror)) - asked;
  check(more === 0, `the second pull should ask the origin nothing, and asked ${more} times`);
  note('the mirror asked the origin 0 times');

  say(`metrics of the mirror (${mirror.debugUrl}/metrics)`);
  for (const line of (await metrics(mirror)).filter((one) => SHOWN.test(one))) note(line);
}

/** A layer that holds one file, one of 4 MiB that nothing compresses, a config and the manifest above them. */
function makeImage() {
  const layers = [
    ['hello.txt', Buffer.from('Hello from the demo.\n')],
    ['random.bin', randomBytes(4 * 1024 * 1024)],
  ].map(([name, content]) => ({ tar: tarOf(name, content) }));
  const type = 'application/vnd.oci.image';
  const rootfs = { type: 'layers', diff_ids: layers.map(({ tar }) => digestOf(tar)) };
  const config = blobOf(json({ architecture: 'amd64', os: 'linux', config: {}, rootfs }), `${type}.config.v1+json`);
  const blobs = layers.map(({ tar }) => blobOf(gzipSync(tar, { level: 1 }), `${type}.layer.v1.tar+gzip`));
  const describe = ({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.length });
  const mediaType = `${type}.manifest.v1+json`;
  const manifest = json({ schemaVersion: 2, mediaType, config: describe(config), layers: blobs.map(describe) });
  return { manifest: blobOf(manifest, mediaType), blobs: [config, ...blobs] };
}

/** POSIX.1-1988 ustar: a header of 512 bytes, whose checksum counts itself as blanks, the content, and zeros. */
function tarOf(name, content) {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0' + '0000000\0' + '0000000\0', 100);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0${' '.repeat(8)}0`, 124);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

async function push(server, { manifest, blobs }) {
  for (const { digest, bytes } of blobs) {
    const path = `/v2/${REPOSITORY}/blobs/uploads/?digest=${digest}`;
    await send(server, 'POST', path, bytes, 'application/octet-stream', digest);
  }
  await send(server, 'PUT', `/v2/${REPOSITORY}/manifests/${TAG}`, manifest.bytes, manifest.mediaType, manifest.digest);
}

async function send(server, method, path, body, type, digest) {
  const headers = { 'content-type': type };
  const answer = await fetch(`${server.url}${path}`, { method, body, headers });
  check(answer.status === 201, `${method} ${path}: ${answer.status} ${await answer.text()}`);
  note(`${method.padEnd(5)} ${short(digest)} ${size(body.length)}  ${answer.status}`);
}

/** As a client does: the manifest by its tag, then what it names; each verified. Yields how the mirror came by each. */
async function pull(server, { manifest, blobs }) {
  const got = [await get(server, `manifests/${TAG}`, manifest)];
  for (const blob of blobs) got.push(await get(server, `blobs/${blob.digest}`, blob));
  return got;
}

async function get(server, path, { digest, mediaType }) {
  const started = performance.now();
  const answer = await fetch(`${server.url}/v2/${REPOSITORY}/${path}`, { headers: { accept: mediaType } });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const ms = performance.now() - started;
  const how = answer.headers.get('cache-status') ?? 'no Cache-Status';
  check(answer.status === 200, `GET ${path}: ${answer.status} ${bytes.subarray(0, 500)}`);
  check(digestOf(bytes) === digest, `GET ${path}: these bytes are not ${digest}`);
  note(`GET   ${short(digest)} ${size(bytes.length)}  ${answer.status}  ${ms.toFixed(0).padStart(4)} ms  ${how}`);
  return { how };
}

async function metrics({ debugUrl }) {
  const text = await (await fetch(`${debugUrl}/metrics`)).text();
  return text.split('\n');
}

/** A client has its last byte a moment before that is safe on disk, and a second one would still read along: a collapsed miss. */
async function settled(server) {
  while (!(await metrics(server)).includes('entrepot_fills_running 0')) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function upstreamRequests(server) {
  const lines = (await metrics(server)).filter((line) =>
    /^entrepot_upstream_requests_total\{.*kind="(manifest|blob)"/.test(line),
  );
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Resolves when it listens; rejects, with what it said last, when it ends before. */
async function start(name, more) {
  // Nothing is begun that nobody would end.
  if (ending) throw new Error('ending');
  const own = join(directory, name);
  mkdirSync(own);
  const file = join(own, 'config.yml');
  const http = { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } };
  const storage = { filesystem: { rootdirectory: own } };
  writeFileSync(file, json({ version: 0.1, log: { formatter: 'json' }, http, storage, ...more }));
  // None of our environment: neither proxies nor REGISTRY_ variables.
  const env = { PATH: process.env.PATH, TMPDIR: tmpdir() };
  const child = spawn(process.execPath, [PROGRAM, 'serve', file], { cwd: own, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  servers.push({ child, exited });
  let last = '';
  const { main, debug } = await new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        last = line;
        if (line.includes('"msg":"listening"')) resolve(JSON.parse(line).addresses);
      });
    }
    exited.then(() => reject(new Error(`the ${name} ended: ${last}`)), reject);
  });
  return { url: `http://${main}`, debugUrl: `http://${debug}` };
}

/** Once: stops what runs, removes what was written, and ends the process. */
async function end(code, why) {
  if (ending) return;
  ending = true;
  await Promise.all(servers.map(stop));
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  console.log(`\n${why}`);
  process.exit(code);
}

async function stop({ child, exited }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited.catch(() => undefined);
  clearTimeout(timer);
}

function say(text) {
  step += 1;
  console.log(`\n${step}. ${text}`);
}

function note(text) {
  console.log(`     ${text}`);
}

function check(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

function json(value) {
  return Buffer.from(JSON.stringify(value));
}

function blobOf(bytes, mediaType) {
  return { bytes, mediaType, digest: digestOf(bytes) };
}

function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function short(digest) {
  return `${digest.slice(0, 19)}…`;
}

function size(bytes) {
  const text = bytes < 10_000 ? `${bytes} B` : `${(bytes / 1024).toFixed(0)} KiB`;
  return text.padStart(9);
}
