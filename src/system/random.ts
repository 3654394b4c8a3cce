import { randomBytes } from 'node:crypto';

/** Chance, as a port: seeded in tests and the simulator. */
export interface Random {
  /** Uniform in [0, 1); for jitter and choice, not for secrets. */
  fraction(): number;
  /** Unpredictable bytes, fit for secrets. */
  bytes(count: number): Uint8Array;
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  bytes: (count) => randomBytes(count),
};

/** A fresh identifier of 128 bits, as 32 lower-case hexadecimal digits. */
export function randomId(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('hex');
}

/** Drawn at once: to ask for chance costs more than all of the bytes. */
const DRAWN_BYTES = 4096;
const ID_BYTES = 16;

/** As {@link randomId}, for many. */
export function createIds(random: Random): () => string {
  let drawn = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at === drawn.byteLength) {
      drawn = Buffer.from(random.bytes(DRAWN_BYTES));
      at = 0;
    }
    at += ID_BYTES;
    return drawn.toString('hex', at - ID_BYTES, at);
  };
}
