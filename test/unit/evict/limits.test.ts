import { describe, expect, test } from 'vitest';
import { excessOf, fitsDisk, headroom, type CacheLimits, type Stock } from '../../../src/evict/limits.ts';

const limits = (over: Partial<CacheLimits> = {}): CacheLimits => ({
  maxBytes: 1000,
  watermarks: { high: 0.95, low: 0.85 },
  keepFree: 0.1,
  ...over,
});
const stock = (bytes: number, over: Partial<Stock> & { free?: number; freeInodes?: number } = {}): Stock => ({
  usage: { bytes, blobs: 1, reserved: 0 },
  quarantined: 0,
  unwritten: 0,
  space: { totalBytes: 10_000, freeBytes: over.free ?? 9000, totalInodes: 100, freeInodes: over.freeInodes ?? 90 },
  ...over,
});

describe('what has to go', () => {
  test('nothing up to the high watermark, then down to the low one', () => {
    expect(excessOf(limits(), stock(950))).toEqual({ bytes: 0, files: 0 });
    expect(excessOf(limits(), stock(951))).toEqual({ bytes: 101, files: 0 });
  });

  test('what is set aside, quarantined, or about to be set aside counts', () => {
    expect(excessOf(limits(), stock(900, { usage: { bytes: 900, blobs: 1, reserved: 51 } })).bytes).toBe(101);
    expect(excessOf(limits(), stock(900, { quarantined: 51 })).bytes).toBe(101);
    expect(excessOf(limits(), stock(900), 51).bytes).toBe(101);
  });

  test('without maxsize the disk is watched, whoever fills it', () => {
    const open = limits({ maxBytes: undefined, watermarks: { high: 0.8, low: 0.75 } });
    expect(excessOf(open, stock(5, { free: 2000 })).bytes).toBe(0);
    expect(excessOf(open, stock(5, { free: 1999 })).bytes).toBe(501);
    expect(excessOf(open, stock(5, { free: 2100, unwritten: 101 })).bytes).toBe(501);
  });

  test.each([
    ['of maxsize', limits({ keepFree: 0 }), stock(900)],
    ['of the disk', limits({ maxBytes: undefined, keepFree: 0 }), stock(5, { free: 2000, unwritten: 3 })],
  ])('nothing as long as the headroom %s lasts, and not a byte longer', (_, open, now) => {
    const left = headroom(open, now);
    expect(left).toBeGreaterThan(0);
    expect(excessOf(open, now, left).bytes).toBe(0);
    expect(excessOf(open, now, left + 1).bytes).toBeGreaterThan(0);
  });

  test('the disk keeps its share free whatever maxsize says', () => {
    expect(excessOf(limits(), stock(5, { free: 1000 })).bytes).toBe(0);
    expect(excessOf(limits(), stock(5, { free: 990 })).bytes).toBe(10);
    expect(fitsDisk(limits(), stock(5, { free: 1010 }), 10)).toBe(true);
    expect(fitsDisk(limits(), stock(5, { free: 1010 }), 11)).toBe(false);
    expect(fitsDisk(limits(), stock(5, { free: 1010, unwritten: 5 }), 6)).toBe(false);
  });

  test('inodes run out as bytes do', () => {
    expect(excessOf(limits(), stock(5, { freeInodes: 7 }))).toEqual({ bytes: 0, files: 3 });
    expect(fitsDisk(limits(), stock(5, { freeInodes: 10 }), 1)).toBe(false);
    const uncounted = { totalBytes: 10_000, freeBytes: 9000, totalInodes: 0, freeInodes: 0 };
    expect(excessOf(limits(), stock(5, { space: uncounted }))).toEqual({ bytes: 0, files: 0 });
    expect(fitsDisk(limits(), stock(5, { space: uncounted }), 1)).toBe(true);
  });
});
