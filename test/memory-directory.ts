import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';

/** A file system in memory, where Linux has one. */
const MEMORY = '/dev/shm';
/** Several times what the tests hold at once, bytes. */
const ROOM = 4 * 1024 ** 3;

/**
 * The temporary directories of all tests are in memory where there is room. Three files at once that have everything made durable,
 * beside clients that unpack images, keep a shared disk so busy that one fsync may take seconds: a server then does what it should with
 * such a disk, and passes through what a test wants to find kept. Tests of a bad disk bring their own. At their whole sizes
 * (`npm run accept:…`), and where `TMPDIR` says so, files lie on a disk.
 */
// oxlint-disable-next-line import/no-default-export -- the runner calls it so
export default async function useMemory(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['TMPDIR'] !== undefined || process.env['ENTREPOT_ACCEPT'] === 'full' || !(await hasRoom())) return undefined;
  // A short name: Podman refuses a runtime directory of more than 50 characters, sockets one of more than 108.
  const directory = await mkdtemp(join(MEMORY, 'e-'));
  process.env['TMPDIR'] = directory;
  return async () => {
    delete process.env['TMPDIR'];
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  };
}

async function hasRoom(): Promise<boolean> {
  if (freemem() < 2 * ROOM) return false;
  const { bavail, bsize } = await statfs(MEMORY).catch(() => ({ bavail: 0, bsize: 0 }));
  return bavail * bsize >= ROOM;
}
