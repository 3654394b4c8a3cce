import type { Exchange } from './exchange.ts';
import type { EdgeClock } from './ports.ts';

/** What of an unwanted body is read and thrown away, so that the client can hear the answer, before it is cut. */
const DISCARD_BYTES_MAX = 1024 * 1024;
const DISCARD_MS_MAX = 10_000;

/**
 * A request body that nobody reads: dropped as it comes, never held, and cut when it goes on for too long. Closing at once
 * instead would be a reset, in which the client may lose the answer that it is owed.
 */
export function discardBody(exchange: Pick<Exchange, 'incoming' | 'outgoing' | 'connection'>, clock: EdgeClock): void {
  const { incoming, outgoing, connection } = exchange;
  let discarded = 0;
  let stopping = false;
  const stop = (): void => {
    if (!incoming.complete) connection.socket.destroySoon();
  };
  const timer = clock.after(DISCARD_MS_MAX, stop);
  const finish = (): void => timer.cancel();
  incoming.on('data', (chunk: Buffer) => {
    discarded += chunk.byteLength;
    if (discarded <= DISCARD_BYTES_MAX || stopping) return;
    stopping = true;
    if (outgoing.writableFinished) stop();
    else outgoing.once('finish', stop);
  });
  // Whoever read the beginning may have stopped it.
  incoming.resume();
  incoming.once('close', finish);
  incoming.once('end', finish);
  connection.onGone(finish);
}
