import { sleep, type Clock } from '../system/clock.ts';
import type { Pace } from './pace.ts';
import type { UpstreamBody } from './upstream.ts';

/**
 * A body that shares an upstream's bytes per second with all its others: what came is paid for before more is read, each
 * body in its turn. The wait is ours, so that neither the stall limit nor the least rate runs meanwhile; the socket is
 * paused once enough is unread.
 */
export function withBandwidth(body: UpstreamBody, pace: Pace, clock: Clock, signal: AbortSignal): UpstreamBody {
  const ending = new AbortController();
  const end = (): void => ending.abort(new Error('the body is not read any more'));
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  let paidAt = 0;
  return {
    async read() {
      const waitMs = paidAt - clock.monotonic();
      // Who left or closed hears it from the body itself.
      if (waitMs > 0) await sleep(clock, waitMs, ending.signal).catch(() => undefined);
      const chunk = await body.read();
      if (chunk === undefined) signal.removeEventListener('abort', end);
      else paidAt = clock.monotonic() + pace.spend(chunk.byteLength);
      return chunk;
    },
    close() {
      signal.removeEventListener('abort', end);
      end();
      body.close();
    },
  };
}
