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
