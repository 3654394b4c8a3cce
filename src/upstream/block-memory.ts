/** What is kept for the next of a size: 21 MiB of all sizes, which is what three layers at once are read through, as a client pulls them. */
const SPARES_MAX = 16;

const KIB = 1024;

/** By size: memory that nobody uses. */
const spares: ReadonlyMap<number, Uint8Array[]> = new Map([
  [64 * KIB, []],
  [256 * KIB, []],
  [1024 * KIB, []],
]);

/**
 * Memory of so many bytes, with anything in it. What bodies have done with is used again, by whichever comes next: new memory is cheap to get and
 * dear to collect, since V8 marks the whole heap for each 64 MiB of it. That was a third of the processor time of a pull of 200 MiB
 * when each read had its own, and a quarter of that of an image when each body had its own blocks of 1 MiB.
 */
export function takeMemory(size: number): Uint8Array {
  return spares.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
}

/** Nobody reads it or writes to it any more. What is too much, or of another size than is kept, is the collector's. */
export function giveMemory(memory: Uint8Array): void {
  const same = spares.get(memory.byteLength);
  if (same !== undefined && same.length < SPARES_MAX) same.push(memory);
}
