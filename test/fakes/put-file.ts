import { posix } from 'node:path';
import type { Disk } from '../../src/system/disk.ts';

/** Makes a file anew, or replaces it, as an editor does: written beside it, and renamed. */
export async function putFile(disk: Disk, path: string, text: string): Promise<void> {
  await disk.makeDirectory(posix.dirname(path));
  const file = await disk.open(`${path}.new`, 'create');
  if (file === undefined) throw new Error('it was not made');
  if (text !== '') await file.write(Buffer.from(text), 0);
  await file.close();
  await disk.rename(`${path}.new`, path);
}
