// A process with an LMDB store of its own. Arguments: the built lmdb.js, the built records.js, the directory, what to do.
import { writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const [lmdb, recordsFile, directory, job, name] = process.argv.slice(2);
const { openLmdb } = await import(lmdb);
const { nodeDisk } = await import(join(dirname(lmdb), '../system/node-disk.js'));
const { createRecords } = await import(recordsFile);
const store = await openLmdb({ directory, disk: nodeDisk, remoteFileSystem: async () => undefined });
const say = (line) => writeSync(1, `${line}\n`);
const number = (value) => (value === undefined ? 0 : Number(Buffer.from(value).toString()));

/** Adds one to a shared counter, 500 times. */
async function count() {
  for (let done = 0; done < 500;) {
    const value = store.get('shared', ['tags', 'counter']);
    const next = Buffer.from(String(number(value) + 1));
    if (await store.commit('shared', [{ key: ['tags', 'counter'], value: next }], [{ key: ['tags', 'counter'], value }]))
      done++;
    else await new Promise(setImmediate);
  }
}

/** Takes and drops one lease, 100 times, and says its fences. */
async function lease() {
  const records = createRecords(store, { clock: { now: Date.now, after: () => ({ cancel() {} }) } });
  const fill = { registry: 'docker.io', digest: `sha256:${'0'.repeat(64)}` };
  for (let done = 0; done < 100;) {
    const { taken, lease } = await records.takeLease(fill, name, 0, 1);
    if (taken) {
      say(lease.fence);
      await records.dropLease(fill, lease);
      done++;
    } else await new Promise(setImmediate);
  }
}

/** Writes the same number under two keys and a growing value, for ever; says what was acknowledged and what is durable. */
async function write() {
  for (let next = number(store.get('pair', ['tags', 'a'])) + 1; ; next++) {
    const value = Buffer.from(String(next));
    await store.commit('pair', [
      { key: ['tags', 'a'], value },
      { key: ['blob', 'fat'], value: Buffer.alloc(next % 20_000, 1) },
      { key: ['links', 'b'], value },
    ]);
    say(`acknowledged ${next}`);
    if (next % 3 === 0) await store.flushed().then(() => say(`durable ${next}`));
  }
}

say('ready');
await { count, lease, write }[job]();
await store.close();
