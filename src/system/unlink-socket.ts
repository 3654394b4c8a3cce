import { lstat, unlink } from 'node:fs/promises';

/**
 * Removes the file of a unix socket, and nothing else: false, and nothing removed, for any other kind of file and for a link,
 * wherever it leads. True, too, when nothing is there any more.
 */
export async function unlinkSocket(path: string): Promise<boolean> {
  try {
    if (!(await lstat(path)).isSocket()) return false;
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return true;
}
