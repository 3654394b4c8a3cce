import type { CacheUsage } from '../metadata/records.ts';
import type { DiskSpace } from '../system/disk.ts';

/** How large the cache may be. Shares are fractions of 1. */
export interface CacheLimits {
  /** Of cached blobs, partial fills and quarantine; undefined: as much as the disk allows. */
  readonly maxBytes: number | undefined;
  /**
   * Above `high` the oldest goes until `low` is reached. Shares of `maxBytes`; where there is none, of what is used on the
   * disk, by whomever: the defaults stay below the point where a Kubernetes node declares disk pressure (85 %).
   */
  readonly watermarks: { readonly high: number; readonly low: number };
  /** Share of the disk, and of its inodes, that stays free whatever the rest says. */
  readonly keepFree: number;
}

/** What stands against the limits. */
export interface Stock {
  readonly usage: CacheUsage;
  /** What was moved away as damaged. */
  readonly quarantined: number;
  readonly space: DiskSpace;
  /** Of `usage.reserved`, bytes that are still to be written. */
  readonly unwritten: number;
}

/** How much has to go: bytes of entries, and files (where inodes are what is short). */
export interface Excess {
  readonly bytes: number;
  readonly files: number;
}

export const NO_EXCESS: Excess = { bytes: 0, files: 0 };

export function isNone({ bytes, files }: Excess): boolean {
  return bytes <= 0 && files <= 0;
}

/** What counts against `maxBytes`. */
export function countedBytes({ usage, quarantined }: Pick<Stock, 'usage' | 'quarantined'>): number {
  return usage.bytes + usage.reserved + quarantined;
}

/** What has to go now so that all limits hold again; `wanted`: bytes that are about to be set aside. */
export function excessOf(limits: CacheLimits, stock: Stock, wanted = 0): Excess {
  const { space } = stock;
  const bytes = Math.max(overWatermark(limits, stock, wanted), keptFree(limits, stock) + wanted - freeAfterAll(stock), 0);
  const files = Math.max(0, Math.ceil(space.totalInodes * limits.keepFree) - space.freeInodes);
  return { bytes: Math.ceil(bytes), files: space.totalInodes === 0 ? 0 : files };
}

/** Whether so many more bytes may be written to the disk. */
export function fitsDisk(limits: CacheLimits, stock: Stock, wanted: number): boolean {
  const { totalInodes, freeInodes } = stock.space;
  const hasInodes = totalInodes === 0 || freeInodes > totalInodes * limits.keepFree;
  return hasInodes && freeAfterAll(stock) - wanted >= keptFree(limits, stock);
}

/** So many more bytes stay below the high watermark. */
export function headroom(limits: CacheLimits, stock: Stock): number {
  const { total, used } = watched(limits, stock);
  return Math.max(0, Math.ceil(total * limits.watermarks.high - used));
}

function overWatermark(limits: CacheLimits, stock: Stock, wanted: number): number {
  const { total, used } = watched(limits, stock);
  const { high, low } = limits.watermarks;
  return used + wanted > total * high ? used + wanted - total * low : 0;
}

/** What the watermarks are shares of, and how much of it is used. */
function watched({ maxBytes }: CacheLimits, stock: Stock): { readonly total: number; readonly used: number } {
  if (maxBytes !== undefined) return { total: maxBytes, used: countedBytes(stock) };
  const { totalBytes } = stock.space;
  return { total: totalBytes, used: totalBytes - freeAfterAll(stock) };
}

function keptFree({ keepFree }: CacheLimits, { space }: Stock): number {
  return space.totalBytes * keepFree;
}

/** When everything that was promised room has been written. */
function freeAfterAll({ space, unwritten }: Stock): number {
  return space.freeBytes - unwritten;
}
