// Loaded before the program: calls of node:fs on blobs and parts go wrong as the file BAD_DISK says, which is looked at
// again before each: {"write": "EIO"}, {"sync": 3000} (ms that it takes), {"open": "ESTALE", "every": 100}.
import { readFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout } from 'node:timers/promises';

const control = process.env.BAD_DISK;
const counts = new Map();

function told() {
  try {
    return JSON.parse(readFileSync(control, 'utf8'));
  } catch {
    return {};
  }
}

async function meet(what) {
  const said = told();
  const fault = said[what];
  if (fault === undefined) return;
  const count = (counts.get(what) ?? 0) + 1;
  counts.set(what, count);
  if (count % (said.every ?? 1) !== 0) return;
  if (typeof fault === 'number') await setTimeout(fault);
  else throw Object.assign(new Error(`${fault}: as the test says`), { code: fault });
}

const { open } = files;
const handle = await open(process.execPath);
const prototype = Object.getPrototypeOf(handle);
await handle.close();
for (const what of ['read', 'write', 'sync', 'stat']) {
  const real = prototype[what];
  prototype[what] = async function (...asked) {
    await meet(what);
    return real.apply(this, asked);
  };
}
files.open = async (...asked) => {
  if (/\/entrepot\/(blobs|parts)\//.test(String(asked[0]))) await meet('open');
  return open(...asked);
};
syncBuiltinESMExports();
