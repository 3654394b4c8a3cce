import { statSync } from 'node:fs';

/**
 * Where this process is root and `directory` belongs to somebody else: becomes that user for good, so that whatever is
 * made there from now on is theirs. False when there is no such directory.
 */
export function actAsOwner(directory: string): boolean {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (process.getuid?.() !== 0 || found.uid === 0) return true;
  process.setgroups?.([found.gid]);
  process.setgid?.(found.gid);
  process.setuid?.(found.uid);
  return true;
}
