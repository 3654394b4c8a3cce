import { formatBytes, formatDuration } from '../admin/format.ts';
import type { RouteQuota, RunningFill, Status } from '../admin/status.ts';
import type { UpstreamStatus } from '../upstream/upstream.ts';
import { printTable } from './table.ts';

/** One screen. */
export function printStatus(status: Status): string {
  const { disk, hitRatio, offline, hosted, quotas } = status;
  const head = printTable([
    ['version', status.version],
    ['up', `${formatDuration(status.uptimeMs)}, since ${status.started}`],
    ['disk', disk === undefined ? 'cannot be asked' : `${formatBytes(disk.freeBytes)} free of ${formatBytes(disk.totalBytes)}`],
    ['hits', `blobs ${percent(hitRatio.blob)}, manifests ${percent(hitRatio.manifest)}`],
    ...(offline.routes.length === 0
      ? []
      : [['offline', offline.all ? 'every route: nobody is asked' : offline.routes.join(', ')]]),
    ...(hosted.length === 0 ? [] : [['hosted', hosted.map(({ name, push }) => (push ? `${name} (push)` : name)).join(', ')]]),
    ...quotas.map((quota) => ['quota', printQuota(quota)]),
    ['fills', `${status.fills.length} running, ${status.partialFills} parts on disk`],
  ]);
  const parts = [
    head,
    status.upstreams.length === 0 ? '' : printUpstreams(status.upstreams),
    status.fills.length === 0 ? '' : printFills(status.fills),
    status.warnings.map((warning) => `warning: ${warning}\n`).join(''),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** `own: 1.2 GiB of 50 GiB, 3.0 MiB more being pushed`. */
export function printQuota({ route, limit, used, reserved }: RouteQuota): string {
  const coming = reserved === 0 ? '' : `, ${formatBytes(reserved)} more being pushed`;
  return `${route}: ${formatBytes(used)} of ${formatBytes(limit)}${coming}`;
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : `${(share * 100).toFixed(1)} %`;
}

function printUpstreams(upstreams: readonly UpstreamStatus[]): string {
  const rows = upstreams.map((upstream) => [
    upstream.name,
    upstream.up ? 'up' : 'DOWN',
    upstream.latencyMs === undefined ? '-' : `${Math.round(upstream.latencyMs)} ms`,
    printBudget(upstream),
    upstream.credentialsValid === undefined ? '-' : upstream.credentialsValid ? 'valid' : 'REFUSED',
    upstream.lastError ?? '',
  ]);
  return printTable([['UPSTREAM', 'STATE', 'LATENCY', 'BUDGET', 'CREDENTIALS', 'LAST ERROR'], ...rows]);
}

function printBudget({ rateLimit, pausedMs }: UpstreamStatus): string {
  const left = rateLimit === undefined ? '-' : `${rateLimit.remaining} of ${rateLimit.limit}`;
  return pausedMs === undefined ? left : `${left}, asked again in ${formatDuration(pausedMs)}`;
}

function printFills(fills: readonly RunningFill[]): string {
  const rows = fills.map((fill) => [
    fill.digest,
    `${formatBytes(fill.frontier)} of ${fill.size === undefined ? 'unknown' : formatBytes(fill.size)}`,
    String(fill.followers),
    fill.upstream ?? '-',
  ]);
  return printTable([['FILL', 'DONE', 'FOLLOWERS', 'FROM'], ...rows]);
}
