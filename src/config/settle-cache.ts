import type { CacheConfig } from './config.ts';
import type { Written } from './schema.ts';
import type { Settling } from './settling.ts';

/** Of `maxsize`; and of the disk, below the point where a Kubernetes node declares disk pressure (85 %). */
const OF_MAXSIZE = { high: 0.95, low: 0.85 };
const OF_DISK = { high: 0.8, low: 0.75 };

export function settleCache({ maxsize, watermarks, keepfree }: Written['cache'], work: Settling): CacheConfig {
  const usual = maxsize === undefined ? OF_DISK : OF_MAXSIZE;
  const [high, low] = [watermarks.high ?? usual.high, watermarks.low ?? usual.low];
  if (low >= high) {
    const key = watermarks.low === undefined ? 'high' : 'low';
    const other =
      key === 'low' ? `a share below high, which is ${percent(high)}` : `a share above low, which is ${percent(low)}`;
    work.fault(['cache', 'watermarks', key], `expected ${other}`);
  }
  return { maxBytes: maxsize, watermarks: { high, low }, keepFree: keepfree };
}

function percent(share: number): string {
  return `${Math.round(share * 100_000) / 1000}%`;
}
