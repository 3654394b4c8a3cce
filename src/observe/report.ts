import type { HouseEvent, RequestEvent } from './events.ts';
import { createLabels, type KnownNames } from './labels.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { reportAdmission } from './report-admission.ts';
import { reportAuth } from './report-auth.ts';
import { reportCollect } from './report-collect.ts';
import { reportEviction } from './report-eviction.ts';
import { reportNotifications } from './report-notifications.ts';
import { reportOfficial } from './report-official.ts';
import { reportPull } from './report-pull.ts';
import { reportRequest } from './report-request.ts';
import { reportScrub } from './report-scrub.ts';
import { reportServer } from './report-server.ts';
import { reportUpstream, type UpstreamReporterOptions } from './report-upstream.ts';
import { createStates } from './states.ts';

export interface ReporterOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly known: KnownNames;
  /** `log.accesslog`: whether requests are logged. */
  readonly accesslog: () => boolean;
  /** See {@link UpstreamReporterOptions}; default: none is kept. */
  readonly reserveOf?: UpstreamReporterOptions['reserveOf'];
  /** Whoever else wants each request as it ends: `tail` and `clients`. */
  readonly onRequest?: (event: RequestEvent) => void;
}

/** Takes what any room reports and makes it log records and metrics. Never throws. */
export type Report = (event: HouseEvent) => void;

/** A change of state is logged once per change, however often it is reported. */
export function createReporter(options: ReporterOptions): Report {
  const { log, metrics } = options;
  const labels = createLabels(options.known);
  const states = createStates();
  const pull = reportPull(log, metrics, labels, states);
  const upstream = reportUpstream({ log, metrics, labels, states, reserveOf: options.reserveOf ?? (() => 0) });
  const notifications = reportNotifications(log, metrics, states);
  const collect = reportCollect(log, metrics);
  const eviction = reportEviction(log, metrics, states);
  const scrub = reportScrub(log, metrics);
  const official = reportOfficial(log);
  const auth = reportAuth(log, metrics);
  const admission = reportAdmission(log, metrics, states);
  const server = reportServer(log, metrics, states);
  const request = reportRequest({ log, metrics, labels, accesslog: options.accesslog });
  return (event) => {
    switch (event.kind) {
      case 'request':
        request(event);
        return options.onRequest?.(event);
      case 'request started':
      case 'fault':
      case 'unreadable':
        return request(event);
      case 'listening':
      case 'reloaded':
      case 'reload-failed':
      case 'certificate':
      case 'plain-http':
      case 'draining':
      case 'uploads-purged':
        return server(event);
      case 'sign-in':
      case 'denied':
      case 'htpasswd-read':
      case 'htpasswd-wrong':
        return auth(event);
      case 'judged':
      case 'judge-answers':
      case 'judge-failed':
      case 'let-in-anyway':
        return admission(event);
      case 'collected':
        return collect(event);
      case 'evicted':
      case 'evict-stuck':
      case 'evict-failed':
        return eviction(event);
      case 'scrubbed':
      case 'scrubbed-before':
      case 'scrub-failed':
        return scrub(event);
      case 'official-found':
      case 'official-refused':
      case 'official-failed':
        return official(event);
      case 'notifications-taken':
      case 'notifications-dropped':
      case 'notification-answered':
      case 'notification-unanswered':
      case 'notifications-unreachable':
        return notifications(event);
      case 'fill-started':
      case 'fill-ended':
      case 'fill-followers':
      case 'resumed':
      case 'verify-failed':
      case 'quarantined':
      case 'tag-moved':
      case 'bypass':
      case 'push-failed':
      case 'kept':
      case 'degraded':
      case 'recovered':
        return pull(event);
      default:
        return upstream(event);
    }
  };
}
