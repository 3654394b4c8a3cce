import type { Exchange } from './exchange.ts';
import type { EdgeClock } from './ports.ts';

/** So much of an unwanted body is read and thrown away for the sake of the connection, which is kept then. */
const DISCARD_BYTES_MAX = 1024 * 1024;
/** And so much for the sake of the answer: many clients look for one only when they have sent all of their body. */
const LINGER_BYTES_MAX = 256 * 1024 * 1024;
const DISCARD_MS_MAX = 10_000;

/**
 * A request body that nobody reads: dropped as it comes, never held. What goes on beyond a size loses its connection: our side
 * is closed behind the answer, and the client's read on for a while (RFC 9112 9.6). Closing at once would be a reset, in which
 * the client may lose the answer that it is owed.
 */
export function discardBody(exchange: Pick<Exchange, 'incoming' | 'outgoing' | 'connection'>, clock: EdgeClock): void {
  const { incoming, outgoing, connection } = exchange;
  let discarded = 0;
  let lingering = false;
  const stop = (): void => {
    if (lingering || !incoming.complete) connection.wire.destroySoon();
  };
  const linger = (): void => {
    if (lingering) return;
    lingering = true;
    if (outgoing.writableFinished) connection.wire.end();
    else outgoing.once('finish', () => connection.wire.end());
  };
  const timer = clock.after(DISCARD_MS_MAX, stop);
  const finish = (): void => timer.cancel();
  incoming.on('data', (chunk: Buffer) => {
    discarded += chunk.byteLength;
    if (discarded > LINGER_BYTES_MAX) stop();
    else if (discarded > DISCARD_BYTES_MAX) linger();
  });
  // Whoever read the beginning may have stopped it.
  incoming.resume();
  incoming.once('close', finish);
  incoming.once('end', () => {
    finish();
    if (lingering) stop();
  });
  connection.onGone(finish);
}
