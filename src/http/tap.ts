import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from './connection.ts';

/** A request that came in one piece, all of it and nothing else: what stood in that piece. */
export interface Heard {
  /** Byte for byte, each as one character. */
  readonly text: string;
  /** What Node's parser made of it, by the order in which they were told. */
  readonly requests: IncomingMessage[];
}

/** Longer heads are left alone. */
const HEAD_LENGTH_MAX = 2048;

/**
 * Stands between a socket and Node's parser. A piece that is one whole request without a body may be answered by `again`, which
 * knows what the very same bytes were when the parser read them; then the parser never sees it. Everything else is the parser's.
 *
 * Only where the parser is between two requests is a piece a request, and whether it is, is known of a connection on which nothing
 * but such pieces ever came. With the first other one (a body, two requests at once, half a head) the connection is the parser's
 * alone, for as long as it lasts. No byte is ever interpreted here: equal bytes in an equal state mean what they meant before.
 *
 * Node's parser reads past JavaScript otherwise, so that to look costs what is not answered here about 4 us, and saves 15 of what is.
 */
export function tap(socket: Socket, connection: Connection, again: (text: string) => boolean): void {
  const [parse, ...others] = socket.listeners('data');
  // Node has come to read in another way: nothing is saved, and nothing changes.
  if (parse === undefined || others.length > 0) return;
  let aligned = true;
  const hear = (chunk: Buffer): void => {
    // Answers keep the order of their requests, also where a second one comes in the same turn, as TLS may hand it over.
    connection.due?.();
    if (!aligned) return void parse.call(socket, chunk);
    const text = oneRequest(chunk);
    if (text !== undefined && connection.isResting && again(text)) return;
    const heard: Heard | undefined = text === undefined ? undefined : { text, requests: [] };
    connection.heard = heard;
    parse.call(socket, chunk);
    connection.heard = undefined;
    aligned = heard?.requests.length === 1 && heard.requests[0]?.complete === true;
  };
  // In this order: without a listener Node's parser would go on reading by itself.
  socket.on('data', hear);
  socket.removeListener('data', parse as (chunk: Buffer) => void);
}

const [G, H, LF] = [0x47, 0x48, 0x0a];

/** The bytes of what looks like one GET or HEAD, whole and alone. */
function oneRequest(chunk: Buffer): string | undefined {
  const { length } = chunk;
  if ((chunk[0] !== G && chunk[0] !== H) || chunk[length - 1] !== LF || length > HEAD_LENGTH_MAX) return undefined;
  const text = chunk.toString('latin1');
  return text.indexOf('\r\n\r\n') === length - 4 ? text : undefined;
}
