import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * How many threads may run at once here: the processors that this process may use, and no more than its group's quota pays for.
 * Node looks at the quota by itself from 22 on.
 */
export function processors(read: (path: string) => string = (path) => readFileSync(path, 'utf8')): number {
  const paid = quota(read);
  return Math.max(1, Math.min(availableParallelism(), Math.floor(paid ?? Infinity)));
}

/** Processors' worth of time, by cgroups 2 (`200000 100000`) or 1; `undefined` where there is no limit. */
function quota(read: (path: string) => string): number | undefined {
  try {
    const [limit, period] = read('/sys/fs/cgroup/cpu.max').trim().split(' ');
    return share(limit, period);
  } catch {
    // Not cgroups 2.
  }
  try {
    return share(read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'), read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'));
  } catch {
    return undefined;
  }
}

function share(limit: string | undefined, period: string | undefined): number | undefined {
  const [allowed, of] = [Number(limit), Number(period)];
  return allowed > 0 && of > 0 ? allowed / of : undefined;
}
