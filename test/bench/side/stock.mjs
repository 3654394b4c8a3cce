// A cache of any number of objects, made by the program's own keys and forms, straight into its metadata's file and in the order of
// that: ten million take some minutes, where commits would take hours. Of each object there is what a pull leaves: blob, link and
// reverse entry, its place in the inventory; each tenth is a manifest with its tag. Files have only those that are to have one.
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { open } from 'lmdb';

const PER_REPOSITORY = 1000;
const PER_TRANSACTION = 50_000;
/** Of what an earlier run let go: a large one would leave very many free pages, which LMDB looks through in each commit of the next start. */
const PER_TRANSACTION_ANEW = 200;
const BLOB_BYTES = 1_000_000;
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** Bits of an object's number, below as many of its digest as fit beside them. */
const NUMBER_BITS = 24n;

/**
 * Into `root`. `hasFile(at)`: of which there are files, by their number from the oldest on. `weight`: what the oldest so many (`count`)
 * are said to have, `bytes` each. Yields the sum of all sizes, and how an object is asked for: `object(at)`. What an earlier run
 * made there of the same objects is taken again, and what it let go (of the oldest `count`) is entered anew; `wasKept` says so.
 */
export async function makeStock(root, { objects, hasFile, weight = { count: 0, bytes: 0 } }) {
  if (objects >= 2 ** Number(NUMBER_BITS)) throw new Error(`at most ${2 ** Number(NUMBER_BITS) - 1} objects`);
  const keys = await import('../../../dist/metadata/keys.js');
  const forms = await import('../../../dist/metadata/forms.js');
  const { LAYOUT } = await import('../../../dist/blobs/layout.js');
  const size = (at) => {
    if (at < weight.count) return weight.bytes;
    if (isManifest(at)) return MANIFEST_BYTES;
    return hasFile(at) ? contentOf(at).length : BLOB_BYTES;
  };
  let bytes = 0;
  for (let at = 0; at < objects; at += 1) bytes += size(at);
  const note = join(root, 'stock.json');
  const kept = keptAt(note, { objects, bytes, layout: LAYOUT });
  const now = kept?.written ?? Date.now();
  const { raw, rank, sorted } = kept === undefined ? digestsOf(objects) : {};
  const digest = (at) => `sha256:${raw === undefined ? hashOf(at).toString('hex') : raw.hexSlice(at * 32, at * 32 + 32)}`;
  const place = (at) => ({ digest: digest(at), size: size(at), position: now - objects + at });

  const inventoryEntry = (own) => [
    keys.INVENTORY_SLOT,
    keys.inventoryEntryKey(own.digest),
    forms.inventoryEntryForm.encode(own),
  ];
  const recent = (own) => [keys.INVENTORY_SLOT, keys.recentKey(own), forms.recentForm.encode(own)];
  const blob = (at) => {
    const record = { size: size(at), public: true, state: 'held', at: now };
    return [keys.digestSlot(digest(at)), keys.BLOB_KEY, forms.blobForm.encode(record)];
  };
  const sum = () => {
    const all = { bytes, blobs: objects, reserved: 0, changes: objects };
    return [keys.INVENTORY_SLOT, keys.SUM_KEY, forms.sumForm.encode(all)];
  };
  /** Scrubbed just now: a scrub would find that most of it has no files. */
  const scrubbed = () => {
    const [started, ended] = [Date.now(), Date.now()];
    return [keys.taskSlot('scrub'), keys.BOOKMARK_KEY, forms.bookmarkForm.encode({ started, ended })];
  };

  function* entries() {
    for (const at of sorted()) yield inventoryEntry(place(at));
    for (let at = 0; at < objects; at += 1) yield recent(place(at));
    yield sum();
    for (let at = 0; at < objects; at += PER_REPOSITORY) {
      const repository = repositoryOf(at);
      yield [keys.CATALOGUE_SLOT, keys.catalogueKey(repository), forms.catalogueForm.encode({ repository })];
    }
    for (const at of sorted()) {
      yield blob(at);
      const [slot, repository] = [keys.digestSlot(digest(at)), repositoryOf(at)];
      const holder = { repository, kind: isManifest(at) ? 'manifest' : 'blob', by: 'upstream' };
      yield [slot, keys.holderKey(repository), forms.holderForm.encode(holder)];
    }
    for (let first = 0; first < objects; first += PER_REPOSITORY) yield* linksAndTags(first);
    yield scrubbed();
  }

  /** What evictions take. */
  function* entriesAnew() {
    for (let at = 0; at < weight.count; at += 1) {
      const own = place(at);
      yield* [inventoryEntry(own), recent(own), blob(at)];
    }
    yield* [sum(), scrubbed()];
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

  mkdirSync(join(root, 'entrepot'), { recursive: true });
  writeFileSync(join(root, 'entrepot/layout.json'), JSON.stringify({ layout: LAYOUT, writtenBy: 'the bench' }));
  const metadata = join(root, 'entrepot/metadata');
  if (kept === undefined) await write(metadata, entries(), PER_TRANSACTION, { append: true });
  else await write(metadata, entriesAnew(), PER_TRANSACTION_ANEW, {});
  for (let at = 0; at < objects; at += 1) if (hasFile(at)) writeObject(root, digest(at), contentOf(at));
  writeFileSync(note, JSON.stringify({ objects, bytes, layout: LAYOUT, written: now }));
  return {
    bytes,
    wasKept: kept !== undefined,
    object(at) {
      const repository = repositoryOf(at).replace('docker.io/', '');
      const path = isManifest(at) ? `/v2/${repository}/manifests/${tagOf(at)}` : `/v2/${repository}/blobs/${digest(at)}`;
      return { digest: digest(at), path };
    },
  };
}

/** What stands there of an earlier run; throws where that is of other objects, or was not made whole. */
function keptAt(note, wanted) {
  if (!existsSync(dirname(note))) return undefined;
  const found = existsSync(note) ? JSON.parse(readFileSync(note, 'utf8')) : {};
  if (Object.entries(wanted).every(([what, value]) => found[what] === value)) return found;
  throw new Error(`${dirname(note)} has something else, or a part of it: remove it, or name another directory`);
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

const hashOf = (at) => createHash('sha256').update(contentOf(at)).digest();

const rawOf = (raw, at) => raw.subarray(at * 32, at * 32 + 32);

/** All digests by number, the numbers in the order of their digests, and where each stands there. */
function digestsOf(objects) {
  const raw = Buffer.allocUnsafeSlow(objects * 32);
  const order = new BigUint64Array(objects);
  for (let at = 0; at < objects; at += 1) {
    hashOf(at).copy(raw, at * 32);
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

/** Without a sync for each transaction, and with one at the end. `append`: in the order of their keys, and behind all that is there. */
export async function write(directory, entries, perTransaction, options) {
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
      for (let put = 0; put < perTransaction; put += 1) {
        const { value, done } = entries.next();
        if (done) return void (more = false);
        const [slot, [collection, id], bytes] = value;
        db.putSync(Buffer.from(`${slot}\0${collection}\0${id}`), bytes, options);
      }
    });
  }
  await db.close();
  const file = openSync(join(directory, 'data.mdb'), 'r+');
  fsyncSync(file);
  closeSync(file);
}

export function writeObject(root, digest, content) {
  const name = digest.slice('sha256:'.length);
  const shelf = join(root, 'entrepot/blobs/sha256', name.slice(0, 2));
  mkdirSync(shelf, { recursive: true });
  writeFileSync(join(shelf, name), content);
}
