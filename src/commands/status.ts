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
    ...printCache(status),
    ...quotas.map((quota) => ['quota', printQuota(quota)]),
    ...printWorkers(status),
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

/** `2 serve (4711, 4712); 1 was replaced`. */
function printWorkers({ workers }: Status): string[][] {
  if (workers === undefined) return [];
  const serving = workers.workers.filter(({ state }) => state === 'serving').map(({ pid }) => pid);
  const replaced = workers.restarted === 0 ? '' : `; ${workers.restarted} ended by themselves and were replaced`;
  return [['workers', `${serving.length} of ${workers.workers.length} serve (${serving.join(', ')})${replaced}`]];
}

/** How full it is, when it makes room, what goes then, and what another size would have hit. */
function printCache({ cache }: Status): string[][] {
  if (cache === undefined) return [];
  const {
    maxBytes,
    usedBytes,
    blobs,
    asideBytes,
    quarantineBytes,
    watermarks,
    keepFreeBytes,
    excessBytes,
    evicted,
    reuse,
    pins,
  } = cache;
  const of = maxBytes === undefined ? 'no maxsize' : `of ${formatBytes(maxBytes)}`;
  const parts = [
    `${blobs} blobs`,
    ...(asideBytes === 0 ? [] : [`${formatBytes(asideBytes)} for fills`]),
    ...(quarantineBytes === 0 ? [] : [`${formatBytes(quarantineBytes)} in quarantine`]),
  ];
  const marks = `${formatBytes(watermarks.high)} down to ${formatBytes(watermarks.low)}${maxBytes === undefined ? ' used on the disk' : ''}`;
  const much = excessBytes === 0 ? '' : `; ${formatBytes(excessBytes)} too much now`;
  const gone =
    evicted === undefined
      ? 'nothing to make room since the start'
      : `${evicted.blobs} blobs, ${formatBytes(evicted.bytes)} since the start; the last had not been used for ${formatDuration(evicted.ageMs)}`;
  return [
    ['cache', `${formatBytes(usedBytes)} ${of}: ${parts.join(', ')}`],
    ['makes room', `at ${marks}; ${formatBytes(keepFreeBytes)} of the disk stay free${much}`],
    ['evicted', gone],
    ...(reuse === undefined ? [] : [['would hit', printReuse(reuse)]]),
    ...(pins.length === 0
      ? []
      : [['pinned', pins.map(({ text, by }) => (by === 'command' ? text : `${text} (${by})`)).join(', ')]]),
  ];
}

/** `41.0 % with 25 GiB, 62.1 % with 50 GiB …; of 12034 pulls since the start`. */
function printReuse({ uses, points }: NonNullable<NonNullable<Status['cache']>['reuse']>): string {
  const told = points.map(({ bytes, hitRatio }) => `${percent(hitRatio)} with ${formatBytes(bytes)}`);
  return `${told.join(', ')}; of ${uses} pulls since the start`;
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
    fill.registry,
    `${formatBytes(fill.frontier)} of ${fill.size === undefined ? 'unknown' : formatBytes(fill.size)}`,
    String(fill.followers),
    fill.upstream ?? '-',
  ]);
  return printTable([['FILL', 'REGISTRY', 'DONE', 'FOLLOWERS', 'FROM'], ...rows]);
}
