import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../system/clock.ts';

/** Tokens that were verified, by their hash, so that the next request with one costs microseconds. */
export interface Verified<T> {
  /** `undefined`: not known, or at its end. */
  get(token: string): T | undefined;
  /** `until`: ms since the epoch. */
  put(token: string, value: T, until: number): void;
}

/** What is remembered of a token is about as long as the token, several times over. */
const LENGTH_MAX = 8 * 1024 * 1024;
const OVERHEAD = 512;

export function createVerified<T extends object>(clock: Clock): Verified<T> {
  const held = new LRUCache<string, { readonly value: T; readonly until: number; readonly size: number }>({
    maxSize: LENGTH_MAX,
    sizeCalculation: ({ size }) => size,
  });
  return {
    get(token) {
      const key = hashOf(token);
      const found = held.get(key);
      if (found === undefined) return undefined;
      if (clock.now() < found.until) return found.value;
      held.delete(key);
      return undefined;
    },
    put: (token, value, until) => void held.set(hashOf(token), { value, until, size: token.length + OVERHEAD }),
  };
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
