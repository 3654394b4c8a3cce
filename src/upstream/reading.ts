import type { ResponseBody } from './body.ts';
import type { Report } from './events.ts';
import { toUpstreamError } from './failure.ts';
import type { UpstreamBody, UpstreamRequest } from './upstream.ts';

/** Bytes are reported in lumps of this size, and at the end. */
const REPORT_BYTES = 1024 * 1024;

/** The body as the rest of the house reads it: failures as UpstreamError, bytes counted. An abort keeps its own reason. */
export function createUpstreamBody(
  body: ResponseBody,
  upstream: string,
  what: UpstreamRequest['kind'],
  host: string,
  report: Report,
  signal: AbortSignal,
): UpstreamBody {
  let unreported = 0;
  let isClosed = false;
  const flush = (): void => {
    if (unreported > 0) report({ kind: 'upstream-bytes', upstream, what, bytes: unreported });
    unreported = 0;
  };
  return {
    async read() {
      try {
        const chunk = await body.read();
        unreported += chunk?.byteLength ?? 0;
        if (chunk === undefined || unreported >= REPORT_BYTES) flush();
        return chunk;
      } catch (error) {
        flush();
        if (signal.aborted) throw signal.reason;
        const failure = toUpstreamError(upstream, host, error, 'body');
        // Whoever closed it while it was being read knows why it ended.
        if (!isClosed) report({ kind: 'upstream-error', upstream, reason: failure.reason, message: failure.message });
        throw failure;
      }
    },
    close() {
      isClosed = true;
      flush();
      body.close();
    },
  };
}
