import type { Random } from '../../src/system/random.ts';

/** The same seed yields the same sequence, on every machine (mulberry32: 32 bits of state). Not for secrets. */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0;

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  return {
    fraction: () => next() / 2 ** 32,
    bytes(count) {
      // Megabytes are drawn of it: `Uint8Array.from` takes five times as long.
      const drawn = new Uint8Array(count);
      for (let at = 0; at < count; at += 1) drawn[at] = next() >>> 24;
      return drawn;
    },
  };
}
