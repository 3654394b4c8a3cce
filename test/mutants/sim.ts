import type { Mutant } from './mutant.ts';

const SEEDS = 'test/sim/first-thousand.test.ts';
const POWER = 'test/sim/power-loss.test.ts';

/**
 * What the simulator finds by itself, at least one for each promise that can be seen from there. Credentials (promise 8) stay
 * behind the upstreams' port, and memory (promise 7) is what is left open.
 */
export const mutants: readonly Mutant[] = [
  {
    name: 'bytes are not compared with their digest',
    guards: ['promise 1', 'decision 1'],
    file: 'src/pull/fill/lead.ts',
    find: 'part === undefined || !this.#writer.matches()) return',
    replace: 'part === undefined) return',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'each client has a download of its own',
    guards: ['promise 2', 'decision 2'],
    file: 'src/pull/fills.ts',
    find: 'if (running.canBeJoined()) return',
    replace: 'if (!running.canBeJoined()) return',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'only the first of a chain is asked for a blob',
    guards: ['promise 4', 'decision 3'],
    file: 'src/pull/fill/sources.ts',
    find: 'if (this.#fruitless >= this.#chain.length) return undefined;',
    replace: 'if (this.#fruitless >= 1) return undefined;',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'a disk or metadata in trouble fail a pull',
    guards: ['promise 5'],
    file: 'src/pull/pull.ts',
    find: '      if (error instanceof RegistryError || error instanceof UpstreamError) throw error;\n',
    replace: '      if (error !== undefined) throw error;\n',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'a blob is published without its name',
    guards: ['promise 6', 'R07'],
    file: 'src/blobs/disk-part.ts',
    find: '    await disk.syncDirectory(layout.fan(digest));\n',
    replace: '',
    test: [POWER],
    testName: 'of a push',
  },
  {
    name: 'a push is acknowledged before it is durable',
    guards: ['promise 6', 'R43'],
    file: 'src/push/keep-blob.ts',
    find: '  await records.flushed();\n',
    replace: '',
    test: [POWER],
    testName: 'of a push',
  },
  {
    name: 'files stay open',
    guards: ['promise 7'],
    file: 'src/blobs/disk.ts',
    find: 'released: () => close(file),',
    replace: 'released: () => undefined,',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'bytes that are here are shown to every repository',
    guards: ['promise 9', 'decision 8'],
    file: 'src/pull/lookup.ts',
    find: "if (described?.public !== true || !blob.public) return { kind: 'unlinked', size: blob.size };",
    replace: "if (blob.size < 0) return { kind: 'unlinked', size: blob.size };",
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'what is set aside is not counted',
    guards: ['I5', 'decision 12'],
    file: 'src/metadata/records-inventory.ts',
    find: '        draft.count({ reserved: grown });\n',
    replace: '',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'what was pushed a moment ago is collected',
    guards: ['I2', 'R28'],
    file: 'src/evict/mark.ts',
    find: 'isHosted(record) && record.at <= options.before && !kept',
    replace: 'isHosted(record) && !kept',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'what could not be read is said to be absent',
    guards: ['I12', 'promise 4'],
    file: 'src/pull/hosted.ts',
    find: "return new RegistryError('UNAVAILABLE', message, { status: 503, headers: { 'retry-after': '5' }, cause });",
    replace: "return new RegistryError('BLOB_UNKNOWN', message, { cause });",
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
  {
    name: 'a start looks at every blob',
    guards: ['promise 10'],
    file: 'src/pull/fill/sweep.ts',
    find: '  const parts = await blobs.parts();\n',
    replace: '  for (let left = 40; left > 0; left -= 1) await blobs.parts();\n  const parts = await blobs.parts();\n',
    test: [SEEDS],
    testName: 'seeds from 1,',
  },
];
