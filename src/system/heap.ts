import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects garbage now, and gives the memory back. What loading the program and reading its configuration leave behind is some 25 MB
 * that V8 keeps until something else makes it look, which in a server at rest may be never. Node has no call for it: this is the
 * function of `--expose-gc`, for a moment. Stops this thread for about 40 ms.
 */
export function giveBackHeap(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}

/** Of what is alive: how much more may lie in the heap before V8 looks what of it nobody holds. */
const GROWTH_PERCENT = 30;

/**
 * From now on the heap of this process grows by a third between two collections of all of it. V8 lets a small one grow to its threefold:
 * of a thousand slow readers, whose waits last long enough to be taken for old, that was 60 MB of garbage. A collection goes on beside
 * this thread but for some milliseconds, and requests that are answered at once leave nothing for it.
 */
export function growHeapSlowly(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
