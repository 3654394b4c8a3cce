// Before what writes much is measured: what was written earlier goes to its disk, and there is free memory that the machine has. A virtual
// machine may hand free memory back to its host, two seconds after it was freed (Linux, mm/page_reporting.c), and fetches it again at the
// first touch, for 4 to 12 us a page of 4 KiB where this was seen: three times what everything else costs that a program does to write
// it, and to be paid by whoever comes two seconds after another has freed some, and not by whoever comes at once.
import { execFileSync } from 'node:child_process';

/** For what fills so many MiB of memory, pages of files too, within the next two seconds. */
export function settle(mib) {
  execFileSync('sync');
  execFileSync(process.execPath, ['-e', `Buffer.alloc(${mib} * 2 ** 20, 1)`]);
}
