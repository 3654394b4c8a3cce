import type { HttpEvent, Outcome, RequestEvent } from './events.ts';
import { methodOf, type Labels } from './labels.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { requestRecord, withoutQuery } from './request-record.ts';

/** Contract, "Metrics": requests are hits and misses; negative, denied and error are neither. */
const HITS: ReadonlySet<Outcome> = new Set<Outcome>(['hit', 'stale', 'revalidated']);
const MISSES: ReadonlySet<Outcome> = new Set<Outcome>(['miss', 'collapsed', 'bypass']);

export interface RequestReportOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly labels: Labels;
  /** `log.accesslog`: false leaves the records of requests out. A reload may change it. */
  readonly accesslog: () => boolean;
}

export function reportRequest({ log, metrics, labels, accesslog }: RequestReportOptions): (event: HttpEvent) => void {
  const ended = (event: RequestEvent): void => {
    if (accesslog()) log.info('request', { ...requestRecord(event) });
    countHttp(metrics, event);
    const { type, outcome } = event.trace;
    if (type === undefined || outcome === undefined) return;
    countPull(metrics, labels, event, type, outcome);
    if (HITS.has(outcome) || MISSES.has(outcome)) countOfficial(metrics, event, type, HITS.has(outcome));
    if (outcome === 'denied') metrics.count('entrepot_denied_total', { action: 'pull', reason: deniedBy(event) });
  };
  return (event) => {
    switch (event.kind) {
      case 'request started':
        return metrics.add('registry_http_in_flight_requests', { handler: event.handler }, 1);
      case 'request':
        return ended(event);
      case 'fault': {
        const { requestId, method, path, error } = event;
        return log.error('request failed', { request_id: requestId, method, path: withoutQuery(path), error });
      }
      default:
        return log.debug('request unreadable', { client: event.client, status: event.status, reason: event.reason });
    }
  };
}

function countHttp(metrics: Metrics, event: RequestEvent): void {
  const { handler } = event;
  const method = methodOf(event.method);
  metrics.add('registry_http_in_flight_requests', { handler }, -1);
  metrics.count('registry_http_requests_total', { code: String(event.status), handler, method });
  metrics.record('registry_http_request_duration_seconds', { handler, method }, event.ms / 1000);
  metrics.record('registry_http_response_size_bytes', { handler }, event.bytes);
}

function countPull(metrics: Metrics, labels: Labels, event: RequestEvent, type: string, outcome: Outcome): void {
  const { trace } = event;
  const route = trace.route ?? 'none';
  metrics.count('entrepot_requests_total', {
    type,
    route,
    registry: labels.registry(trace.registry),
    outcome,
  });
  metrics.count('entrepot_response_bytes_total', { type, route, outcome }, event.bytes);
  if (event.firstByteMs !== undefined) metrics.record('entrepot_request_seconds', { type, outcome }, event.firstByteMs / 1000);
}

function countOfficial(metrics: Metrics, event: RequestEvent, type: string, hit: boolean): void {
  metrics.count('registry_proxy_requests_total', { type });
  metrics.count(hit ? 'registry_proxy_hits_total' : 'registry_proxy_misses_total', { type });
  metrics.count('registry_proxy_pushed_bytes_total', { type }, event.bytes);
}

/** A rule about content; a route with `deny` asks nobody; else an upstream understood our credentials and refused. */
function deniedBy(event: RequestEvent): string {
  if (event.trace.notLetIn !== undefined) return event.trace.notLetIn.judge;
  return event.trace.upstream === undefined && event.trace.tried.length === 0 ? 'route' : 'upstream';
}
