/**
 * Fills, publishes, replaces and removes blobs until it is killed, and prints what it was told: `held DIGEST`, `removing
 * DIGEST`, `absent DIGEST`. Arguments: a directory that holds the compiled `blobs/` and `system/`, the data directory, and
 * a number that no earlier run had. Plain JavaScript, because Node 20 runs no TypeScript.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [compiled, root, run] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(compiled, path)).href);
const { openDiskBlobStore } = await load('blobs/disk.js');
const { nodeDisk } = await load('system/node-disk.js');
const { systemRandom } = await load('system/random.js');

/** Synchronous, so that what was printed was printed before the kill. */
const tell = (word, digest) => writeSync(1, `${word} ${digest}\n`);

const store = await openDiskBlobStore({ disk: nodeDisk, random: systemRandom, root, version: '1.0.0' });
const kept = [];
for (let turn = 0; ; turn++) {
  const bytes = randomBytes(1 + ((turn * 7919 + Number(run) * 104_729) % 200_000));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  for (const again of turn % 3 === 0 ? [false, true] : [false]) {
    const part = await store.part(randomBytes(16).toString('hex'), false);
    for (let from = 0; from < bytes.length; from += 50_000) await part.write(bytes.subarray(from, from + 50_000), from);
    await part.publish(digest);
    part.release();
    if (!again) tell('held', digest);
  }
  kept.push(digest);
  if (kept.length > 5) {
    const gone = kept.shift();
    tell('removing', gone);
    await store.remove(gone);
    tell('absent', gone);
  }
}
