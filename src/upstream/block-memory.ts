/** What is kept for the next of each of these sizes, in bytes: what three layers at once are read through, as a client pulls them. */
const SPARE_BYTES_MAX: ReadonlyMap<number, number> = new Map([
  [64 * 1024, 1024 * 1024],
  [256 * 1024, 4 * 1024 * 1024],
  [1024 * 1024, 16 * 1024 * 1024],
]);

const spares = new Map<number, Uint8Array[]>([...SPARE_BYTES_MAX.keys()].map((size) => [size, []]));

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
  const size = memory.byteLength;
  const same = spares.get(size);
  if (same !== undefined && (same.length + 1) * size <= (SPARE_BYTES_MAX.get(size) ?? 0)) same.push(memory);
}
