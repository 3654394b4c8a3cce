import { readFileSync } from 'node:fs';

/** How many files and sockets this process may have open; `undefined` where the system does not say. */
export function descriptorLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined; // Not Linux.
  }
}
