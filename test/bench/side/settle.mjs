// Before what writes much is measured: what was written earlier goes to its disk, and there is free memory that the machine has. A virtual
// machine may hand free memory back to its host, two seconds after it was freed (Linux, mm/page_reporting.c), and fetches it again at the
// first touch, for 4 to 12 us a page of 4 KiB where this was seen: up to 42 % of a first pull's processor time, to be paid by whoever comes
// two seconds after another has freed some, and not by whoever comes at once.
import { execFileSync } from 'node:child_process';

/** For what fills so many MiB of memory, pages of files too, within the next two seconds. */
export function settle(mib) {
  flushDisks();
  execFileSync(process.execPath, ['-e', `Buffer.alloc(${mib} * 2 ** 20, 1)`]);
}

/** Else what was just stored goes to the disk while something is measured. */
export function flushDisks() {
  execFileSync('sync');
}
