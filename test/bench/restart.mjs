// How long a start takes on a large store, after a kill: npm run bench:restart [-- --objects 100000 --runs 5]
// The records of every object are there (blob, link and reverse entry, its place in the inventory; of each tenth its tag). Up
// to 200,000 objects have files too, of a few bytes each; beyond that there are none but those that are pulled.
// Prints, for an empty store and for the large one: spawn to the first 200 on /v2/, spawn to the first cached manifest, and
// the processor time that the server had used by then (the only one of the three that other work on the machine leaves alone).
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from 'lmdb';

const { values } = parseArgs({
  options: { objects: { type: 'string', default: '100000' }, runs: { type: 'string', default: '5' } },
});
const objects = Number(values.objects);
const runs = Number(values.runs);
const FILES_MAX = 200_000;
const PER_REPOSITORY = 1000;
const PER_TRANSACTION = 20_000;
const BLOB_BYTES = 1_000_000;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

const main = new URL('../../dist/main.js', import.meta.url).pathname;
if (!existsSync(main)) throw new Error('dist/main.js is not there: npm run build');
const keys = await import('../../dist/metadata/keys.js');
const forms = await import('../../dist/metadata/forms.js');

const directory = mkdtempSync(join(tmpdir(), 'entrepot-restart-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const config = join(directory, 'config.yml');
writeFileSync(
  config,
  JSON.stringify({
    version: 0.1,
    log: { accesslog: { disabled: true } },
    http: { addr: '127.0.0.1:0' },
    storage: { filesystem: { rootdirectory: directory } },
    cache: { maxsize: '100TiB', keepfree: '0%' },
    upstreams: { hub: { url: 'http://127.0.0.1:9' } },
    routes: [{ match: 'docker.io/**', name: 'hub', upstreams: ['hub'] }],
  }),
);
const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: descriptor(0), layers: [] }));

await run(); // Makes the directory.
await fill(1);
const empty = await measure();
const started = performance.now();
await fill(objects);
console.log(`${objects} objects written in ${Math.round((performance.now() - started) / 1000)} s, files: ${filesOf(objects)}`);
const large = await measure();
const TITLES = {
  ready: 'spawn to 200 on /v2/',
  manifest: 'spawn to the first cached manifest',
  cpu: 'processor time of the server',
};
for (const [what, title] of Object.entries(TITLES)) {
  print(
    title,
    '1 object',
    empty.map((one) => one[what]),
  );
  print(
    title,
    `${objects} objects`,
    large.map((one) => one[what]),
  );
}

function print(title, name, figures) {
  const sorted = figures.toSorted((a, b) => a - b);
  const [median, max] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map((ms) => `${Math.round(ms)} ms`);
  console.log(`${title.padEnd(36)} ${name.padStart(16)}: median ${median}, max ${max}, of ${runs} runs`);
}

async function measure() {
  const figures = [];
  for (let nth = 0; nth < runs; nth += 1) figures.push(await run(hex(manifest)));
  return figures;
}

/** One life, that ends with a kill; `wanted`: asked for as soon as it answers. */
async function run(wanted) {
  const spawned = performance.now();
  const child = spawn(process.execPath, [main, 'serve', config], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const address = await new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (piece) => {
      text += piece;
      const line = text.split('\n').find((each) => each.includes('"listening"'));
      if (line !== undefined) resolve(JSON.parse(line).addresses.main);
    });
    void exited.then(() => reject(new Error(`it ended: ${text}`)));
  });
  await expect200(address, '/v2/');
  const ready = performance.now() - spawned;
  if (wanted !== undefined) await expect200(address, `/v2/docker.io/library/r0/manifests/t0`, `sha256:${wanted}`);
  const answered = performance.now() - spawned;
  const [user, system] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).map(Number);
  child.kill('SIGKILL');
  await exited;
  return { ready, manifest: answered, cpu: (user + system) * 10 };
}

function expect200(address, path, digest) {
  return new Promise((resolve, reject) => {
    request(`http://${address}${path}`, async (reply) => {
      const hash = createHash('sha256');
      for await (const piece of reply) hash.update(piece);
      const got = `sha256:${hash.digest('hex')}`;
      if (reply.statusCode === 200 && (digest ?? got) === got) resolve();
      else reject(new Error(`${path}: ${reply.statusCode} ${got}`));
    })
      .on('error', reject)
      .end();
  });
}

function filesOf(count) {
  return count > FILES_MAX ? 'none but the manifest that is pulled' : 'all, of a few bytes each';
}

/** Straight into the store's file, by the keys and forms of the program: through its commits it would take an hour. */
async function fill(count) {
  const db = open({
    path: join(directory, 'entrepot/metadata'),
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    eventTurnBatching: false,
  });
  const put = (slot, [collection, id], value) => db.putSync(Buffer.from(`${slot}\0${collection}\0${id}`), value);
  const now = Date.now();
  let bytes = 0;
  for (let from = 0; from < count; from += PER_TRANSACTION) {
    db.transactionSync(() => {
      for (let at = from; at < Math.min(count, from + PER_TRANSACTION); at += 1) bytes += putObject(put, at, now, count);
    });
  }
  const sum = { bytes, blobs: count, reserved: 0, changes: count };
  db.transactionSync(() => put(keys.INVENTORY_SLOT, keys.SUM_KEY, forms.sumForm.encode(sum)));
  await db.close();
}

/** Yields what it counts for. The first one is there. */
function putObject(put, at, now, count) {
  const isManifest = at % 10 === 0;
  const content = at === 0 ? manifest : Buffer.from(`object ${at}`);
  const digest = `sha256:${hex(content)}`;
  const hasFile = at === 0 || count <= FILES_MAX;
  const size = hasFile ? content.length : BLOB_BYTES;
  const repository = `docker.io/library/r${Math.floor(at / PER_REPOSITORY)}`;
  const slot = keys.repositorySlot(repository);
  const link = { kind: isManifest ? 'manifest' : 'blob', size, by: 'upstream', upstream: 'hub', at: now };
  put(keys.digestSlot(digest), keys.BLOB_KEY, forms.blobForm.encode({ size, public: true, state: 'held', at: now }));
  put(
    keys.digestSlot(digest),
    keys.holderKey(repository),
    forms.holderForm.encode({ repository, kind: link.kind, by: 'upstream' }),
  );
  put(slot, keys.linkKey(digest), forms.linkForm.encode(isManifest ? { ...link, mediaType: MANIFEST } : link));
  const place = { digest, size, position: now - count + at };
  put(keys.INVENTORY_SLOT, keys.recentKey(place), forms.recentForm.encode(place));
  put(keys.INVENTORY_SLOT, keys.inventoryEntryKey(digest), forms.inventoryEntryForm.encode(place));
  if (isManifest) {
    const tag = { digest, mediaType: MANIFEST, size, checked: now, upstream: 'hub' };
    put(slot, keys.tagKey(`t${at % PER_REPOSITORY}`), forms.tagForm.encode(tag));
  }
  if (at % PER_REPOSITORY === 0)
    put(keys.CATALOGUE_SLOT, keys.catalogueKey(repository), forms.catalogueForm.encode({ repository }));
  if (hasFile) writeObject(digest.slice('sha256:'.length), content);
  return size;
}

function writeObject(name, content) {
  const shelf = join(directory, 'entrepot/blobs/sha256', name.slice(0, 2));
  mkdirSync(shelf, { recursive: true });
  writeFileSync(join(shelf, name), content);
}

function descriptor(at) {
  return {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    size: 2,
    digest: `sha256:${hex(Buffer.from(`config ${at}`))}`,
  };
}

function hex(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
