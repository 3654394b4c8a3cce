import type { RequestEvent, RequestTrace } from '../../../src/observe/events.ts';
import { createLineSink } from '../../../src/observe/line-sink.ts';
import { createLog, type Log, type LogOptions } from '../../../src/observe/log.ts';

/** A log into memory. */
export function recordingLog(options: Partial<LogOptions> = {}): {
  log: Log;
  lines: string[];
  records: () => Record<string, unknown>[];
} {
  const lines: string[] = [];
  const stream = { writableLength: 0, destroyed: false, write: (text: string) => lines.push(text), on: () => {} };
  const log = createLog({ level: 'info', formatter: 'json', fields: {}, sink: createLineSink(stream), ...options });
  return { log, lines, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

export const TRACE: RequestTrace = {
  requestId: 'r1',
  registry: 'docker.io',
  repository: 'library/alpine',
  reference: 'latest',
  digest: `sha256:${'a'.repeat(64)}`,
  type: 'manifest',
  route: 'hub',
  outcome: 'hit',
  upstream: 'hub-a',
  tried: [],
  size: 1000,
  ageSeconds: 12.4,
};

export function requestEvent(changes: Partial<RequestEvent> = {}, trace: Partial<RequestTrace> = {}): RequestEvent {
  return {
    kind: 'request',
    trace: { ...TRACE, ...trace },
    handler: 'manifest',
    client: '10.0.0.7',
    clientKind: 'docker',
    user: undefined,
    userAgent: 'docker/29.0.0 go/go1.25',
    host: 'mirror.test',
    publicAddress: () => 'https://mirror.test',
    method: 'GET',
    path: '/v2/library/alpine/manifests/latest',
    status: 200,
    bytes: 1000,
    firstByteMs: 1.234,
    ms: 2.345,
    aborted: false,
    ...changes,
  };
}
