import { readdir, readlink } from 'node:fs/promises';

/** How many files below `directory` this process has open, by the kernel's own count; 0 where there is no /proc. */
export async function descriptorsBelow(directory: string): Promise<number> {
  const numbers = await readdir('/proc/self/fd').catch(() => []);
  const targets = await Promise.all(numbers.map((number) => readlink(`/proc/self/fd/${number}`).catch(() => '')));
  return targets.filter((target) => target.startsWith(`${directory}/`)).length;
}
