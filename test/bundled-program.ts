import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');
const MAIN = join(ROOT, 'dist/main.js');
/** What is native, and an SDK that few sign-ins load. */
const LEFT_OUT = [/^lmdb$/, /^@node-rs\//, /^@aws-sdk\//];

/**
 * The built program in a few files instead of a thousand, which tests start as processes some two hundred times: finding and reading its
 * modules one by one is more than half of what a start costs (1.2 s of a core, and 0.5 s so). It is the same code, and what is loaded
 * late is still loaded late. Those that are about the program as users have it start that (`shipped`), as all do at their whole sizes
 * (`npm run accept:…`); `ENTREPOT_PROGRAM=dist/main.js` has all of them start it.
 */
// oxlint-disable-next-line import/no-default-export -- the runner calls it so
export default async function bundleProgram(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['ENTREPOT_PROGRAM'] !== undefined || process.env['ENTREPOT_ACCEPT'] === 'full') return undefined;
  if (!existsSync(MAIN)) return undefined;
  // The program reads its package.json two directories above its files, and finds what is native where npm put it.
  const directory = await mkdtemp(join(tmpdir(), 'program-'));
  await Promise.all(['package.json', 'node_modules'].map((name) => symlink(join(ROOT, name), join(directory, name))));
  const bundle = await rolldown({ input: MAIN, platform: 'node', external: LEFT_OUT, logLevel: 'silent' });
  await bundle.write({ dir: join(directory, 'dist/bundle'), format: 'esm', keepNames: true });
  await bundle.close();
  process.env['ENTREPOT_PROGRAM'] = join(directory, 'dist/bundle/main.js');
  return async () => {
    delete process.env['ENTREPOT_PROGRAM'];
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  };
}
