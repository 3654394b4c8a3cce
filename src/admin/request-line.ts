import type { RequestEvent } from '../observe/events.ts';
import { formatBytes } from './format.ts';

/**
 * One request as one line for a person:
 * `10:00:00 200 hit         GET docker.io/library/alpine:latest 1.5 KiB 2 ms docker 10.0.0.7`.
 */
export function requestLine(event: RequestEvent, now: number): string {
  const { trace } = event;
  const parts = [
    new Date(now).toISOString().slice(11, 19),
    String(event.status),
    (trace.outcome ?? '-').padEnd(11),
    plain(event.method),
    plain(subject(event)),
    formatBytes(event.bytes),
    `${Math.round(event.ms)} ms`,
    plain(event.clientKind),
    plain(event.client),
    ...(trace.upstream === undefined ? [] : [`from ${plain(trace.upstream)}`]),
    ...trace.tried.map(({ upstream, error }) => `(${plain(upstream)}: ${plain(error)})`),
    ...(event.aborted ? ['aborted'] : []),
  ];
  return parts.join(' ');
}

function subject({ trace, path }: RequestEvent): string {
  if (trace.registry === undefined || trace.repository === undefined) return path.split('?', 1)[0] ?? '';
  const name = `${trace.registry}/${trace.repository}`;
  if (trace.reference === undefined) return name;
  return `${name}${trace.reference.includes(':') ? '@' : ':'}${trace.reference}`;
}

/** What came from outside may hold escape sequences: they do not reach the terminal (reliability.md, S47). */
function plain(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 300);
}
