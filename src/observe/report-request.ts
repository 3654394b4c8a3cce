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
  const answered = createAnswered(metrics);
  const pulled = createPulled(metrics, labels);
  const ended = (event: RequestEvent): void => {
    if (accesslog()) log.info('request', { ...requestRecord(event) });
    answered.count(event);
    const { type, outcome } = event.trace;
    if (type === undefined || outcome === undefined) return;
    pulled.count(event, type, outcome);
    if (outcome === 'denied') metrics.count('entrepot_denied_total', { action: 'pull', reason: deniedBy(event) });
  };
  return (event) => {
    switch (event.kind) {
      case 'request started':
        return answered.begin(event.handler);
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

/** Counts in series that are found once for all requests that are alike: to look each of them up is a twelfth of a hit. */
function createAnswered(metrics: Metrics): { begin(handler: string): void; count(event: RequestEvent): void } {
  const inFlightOf = kept((handler: string) => metrics.counting('registry_http_in_flight_requests', { handler }));
  const seriesOf = kept((_, handler: string, method: string, code: string) => ({
    requests: metrics.counting('registry_http_requests_total', { code, handler, method }),
    seconds: metrics.recording('registry_http_request_duration_seconds', { handler, method }),
    bytes: metrics.recording('registry_http_response_size_bytes', { handler }),
  }));
  return {
    begin: (handler) => inFlightOf(handler)(1),
    count(event) {
      const { handler, ms } = event;
      const [method, code] = [methodOf(event.method), String(event.status)];
      const { requests, seconds, bytes } = seriesOf(`${handler} ${method} ${code}`, handler, method, code);
      inFlightOf(handler)(-1);
      requests(1);
      seconds(ms / 1000);
      bytes(event.bytes);
    },
  };
}

/** The same for what they were pulls of. */
function createPulled(metrics: Metrics, labels: Labels): { count(event: RequestEvent, type: string, outcome: Outcome): void } {
  const seriesOf = kept((_, type: string, outcome: Outcome, route: string, registry: string) => ({
    requests: metrics.counting('entrepot_requests_total', { type, route, registry, outcome }),
    bytes: metrics.counting('entrepot_response_bytes_total', { type, route, outcome }),
    countOfficial: officialCounter(metrics, type, outcome),
  }));
  const secondsOf = kept((_, type: string, outcome: Outcome) =>
    metrics.recording('entrepot_request_seconds', { type, outcome }),
  );
  return {
    count(event, type, outcome) {
      const { route = 'none' } = event.trace;
      const registry = labels.registry(event.trace.registry);
      const { requests, bytes, countOfficial } = seriesOf(
        `${type} ${outcome} ${registry} ${route}`,
        type,
        outcome,
        route,
        registry,
      );
      requests(1);
      bytes(event.bytes);
      countOfficial(event.bytes);
      if (event.firstByteMs !== undefined) secondsOf(`${type} ${outcome}`, type, outcome)(event.firstByteMs / 1000);
    },
  };
}

function officialCounter(metrics: Metrics, type: string, outcome: Outcome): (bytes: number) => void {
  const isHit = HITS.has(outcome);
  if (!isHit && !MISSES.has(outcome)) return () => undefined;
  const requests = metrics.counting('registry_proxy_requests_total', { type });
  const answered = metrics.counting(isHit ? 'registry_proxy_hits_total' : 'registry_proxy_misses_total', { type });
  const pushed = metrics.counting('registry_proxy_pushed_bytes_total', { type });
  return (bytes) => {
    requests(1);
    answered(1);
    pushed(bytes);
  };
}

/** What is made of a key is made once. Keys are of labels, which are few. */
function kept<A extends readonly unknown[], T>(make: (key: string, ...of: A) => T): (key: string, ...of: A) => T {
  const all = new Map<string, T>();
  return (key, ...of) => {
    let found = all.get(key);
    if (found === undefined) all.set(key, (found = make(key, ...of)));
    return found;
  };
}

/** A rule about content; a route with `deny` asks nobody; else an upstream understood our credentials and refused. */
function deniedBy(event: RequestEvent): string {
  if (event.trace.notLetIn !== undefined) return event.trace.notLetIn.judge;
  return event.trace.upstream === undefined && event.trace.tried.length === 0 ? 'route' : 'upstream';
}
