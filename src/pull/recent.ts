import { LRUCache } from 'lru-cache';

/**
 * What was told lately, by key: at most so many, of which the least recently used goes first. Grows as it fills; `max` alone
 * would have lru-cache set all places aside at once, a megabyte and milliseconds of every start.
 */
export function recentOnes<Value extends object>(countMax: number): LRUCache<string, Value> {
  return new LRUCache({ maxSize: countMax, sizeCalculation: () => 1 });
}
