// A cache of any number of objects, made by the program's own keys and forms, straight into its metadata's file and in the order of
// that: ten million take some minutes, where commits would take hours. Of each object there is what a pull leaves: blob, link and
// reverse entry, its place in the inventory; each tenth is a manifest with its tag. Files have only those that are to have one.
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';

const PER_REPOSITORY = 1000;
const PER_TRANSACTION = 50_000;
const BLOB_BYTES = 1_000_000;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** Bits of an object's number, below as many of its digest as fit beside them. */
const NUMBER_BITS = 24n;

/**
 * Into `root`, which must be new. `hasFile(at)`: of which there are files, by their number from the oldest on. `weight`: what the oldest
 * so many (`count`) are said to have, `bytes` each. Yields the sum of all sizes, and how an object is asked for: `object(at)`.
 */
export async function makeStock(root, { objects, hasFile, weight }) {
  if (objects >= 2 ** Number(NUMBER_BITS)) throw new Error(`at most ${2 ** Number(NUMBER_BITS) - 1} objects`);
  const keys = await import('../../../dist/metadata/keys.js');
  const forms = await import('../../../dist/metadata/forms.js');
  const now = Date.now();
  const { raw, rank, sorted } = digestsOf(objects);
  const digest = (at) => `sha256:${raw.hexSlice(at * 32, at * 32 + 32)}`;
  const size = (at) => {
    if (at < (weight?.count ?? 0)) return weight.bytes;
    if (isManifest(at)) return MANIFEST_BYTES;
    return hasFile(at) ? contentOf(at).length : BLOB_BYTES;
  };
  const place = (at) => ({ digest: digest(at), size: size(at), position: now - objects + at });

  function* entries() {
    const { INVENTORY_SLOT, CATALOGUE_SLOT } = keys;
    let bytes = 0;
    for (const at of sorted()) {
      const own = place(at);
      bytes += own.size;
      yield [INVENTORY_SLOT, keys.inventoryEntryKey(own.digest), forms.inventoryEntryForm.encode(own)];
    }
    for (let at = 0; at < objects; at += 1) {
      const own = place(at);
      yield [INVENTORY_SLOT, keys.recentKey(own), forms.recentForm.encode(own)];
    }
    const sum = { bytes, blobs: objects, reserved: 0, changes: objects };
    yield [INVENTORY_SLOT, keys.SUM_KEY, forms.sumForm.encode(sum)];
    for (let at = 0; at < objects; at += PER_REPOSITORY) {
      const repository = repositoryOf(at);
      yield [CATALOGUE_SLOT, keys.catalogueKey(repository), forms.catalogueForm.encode({ repository })];
    }
    for (const at of sorted()) {
      const [slot, repository] = [keys.digestSlot(digest(at)), repositoryOf(at)];
      yield [slot, keys.BLOB_KEY, forms.blobForm.encode({ size: size(at), public: true, state: 'held', at: now })];
      const holder = { repository, kind: isManifest(at) ? 'manifest' : 'blob', by: 'upstream' };
      yield [slot, keys.holderKey(repository), forms.holderForm.encode(holder)];
    }
    for (let first = 0; first < objects; first += PER_REPOSITORY) yield* linksAndTags(first);
    // Scrubbed just now: a scrub would find that most of it has no files.
    yield [keys.taskSlot('scrub'), keys.BOOKMARK_KEY, forms.bookmarkForm.encode({ started: now, ended: now })];
  }

  function* linksAndTags(first) {
    const slot = keys.repositorySlot(repositoryOf(first));
    const count = Math.min(PER_REPOSITORY, objects - first);
    const all = Array.from({ length: count }, (_, at) => first + at);
    const known = { upstream: 'up', needed: 'nothing' };
    for (const at of all.toSorted((a, b) => rank[a] - rank[b])) {
      const link = { size: size(at), by: 'upstream', at: now, ...known };
      const kind = isManifest(at) ? { kind: 'manifest', mediaType: MANIFEST } : { kind: 'blob' };
      yield [slot, keys.linkKey(digest(at)), forms.linkForm.encode({ ...kind, ...link })];
    }
    for (const at of all.filter(isManifest)) {
      const tag = { digest: digest(at), mediaType: MANIFEST, size: size(at), checked: now, ...known };
      yield [slot, keys.tagKey(tagOf(at)), forms.tagForm.encode(tag)];
    }
  }

  const { LAYOUT } = await import('../../../dist/blobs/layout.js');
  mkdirSync(join(root, 'entrepot'), { recursive: true });
  writeFileSync(join(root, 'entrepot/layout.json'), JSON.stringify({ layout: LAYOUT, writtenBy: 'the bench' }));
  await write(join(root, 'entrepot/metadata'), entries());
  let bytes = 0;
  for (let at = 0; at < objects; at += 1) {
    bytes += size(at);
    if (hasFile(at)) writeObject(root, digest(at), contentOf(at));
  }
  return {
    bytes,
    object(at) {
      const repository = repositoryOf(at).replace('docker.io/', '');
      const path = isManifest(at) ? `/v2/${repository}/manifests/${tagOf(at)}` : `/v2/${repository}/blobs/${digest(at)}`;
      return { digest: digest(at), path };
    },
  };
}

/** Numbered, so that their order is that of their keys. */
const repositoryOf = (at) => `docker.io/library/r${String(Math.floor(at / PER_REPOSITORY)).padStart(6, '0')}`;
const tagOf = (at) => `t${String(at % PER_REPOSITORY).padStart(3, '0')}`;
const isManifest = (at) => at % 10 === 0;

function contentOf(at) {
  if (!isManifest(at)) return Buffer.from(`object ${at}`);
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', size: 2, digest: `sha256:${'0'.repeat(64)}` };
  const annotations = { 'org.example.number': String(at).padStart(8, '0') };
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [], annotations }));
}

const MANIFEST_BYTES = contentOf(0).length;

const rawOf = (raw, at) => raw.subarray(at * 32, at * 32 + 32);

/** All digests by number, the numbers in the order of their digests, and where each stands there. */
function digestsOf(objects) {
  const raw = Buffer.allocUnsafeSlow(objects * 32);
  const order = new BigUint64Array(objects);
  for (let at = 0; at < objects; at += 1) {
    createHash('sha256')
      .update(contentOf(at))
      .digest()
      .copy(raw, at * 32);
    order[at] = ((raw.readBigUInt64BE(at * 32) >> NUMBER_BITS) << NUMBER_BITS) | BigInt(at);
  }
  order.sort();
  const numberAt = (at) => Number(order[at] & ((1n << NUMBER_BITS) - 1n));
  // Digests that begin alike by chance lie in the order of their numbers.
  for (let at = 1; at < objects; at += 1) {
    for (let back = at; back > 0; back -= 1) {
      if (order[back] >> NUMBER_BITS !== order[back - 1] >> NUMBER_BITS) break;
      if (Buffer.compare(rawOf(raw, numberAt(back - 1)), rawOf(raw, numberAt(back))) <= 0) break;
      [order[back], order[back - 1]] = [order[back - 1], order[back]];
    }
  }
  const rank = new Uint32Array(objects);
  for (let at = 0; at < objects; at += 1) rank[numberAt(at)] = at;
  return {
    raw,
    rank,
    *sorted() {
      for (let at = 0; at < objects; at += 1) yield numberAt(at);
    },
  };
}

/** Without a sync for each transaction, and with one at the end. */
async function write(directory, entries) {
  mkdirSync(directory, { recursive: true });
  const db = open({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    eventTurnBatching: false,
    noSync: true,
  });
  for (let more = true; more;) {
    db.transactionSync(() => {
      for (let put = 0; put < PER_TRANSACTION; put += 1) {
        const { value, done } = entries.next();
        if (done) return void (more = false);
        const [slot, [collection, id], bytes] = value;
        db.putSync(Buffer.from(`${slot}\0${collection}\0${id}`), bytes, { append: true });
      }
    });
  }
  await db.close();
  const file = openSync(join(directory, 'data.mdb'), 'r+');
  fsyncSync(file);
  closeSync(file);
}

function writeObject(root, digest, content) {
  const name = digest.slice('sha256:'.length);
  const shelf = join(root, 'entrepot/blobs/sha256', name.slice(0, 2));
  mkdirSync(shelf, { recursive: true });
  writeFileSync(join(shelf, name), content);
}
