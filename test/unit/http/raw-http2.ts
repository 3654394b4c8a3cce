import { once } from 'node:events';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { SecureEdge } from './secure-edge.ts';

/** Types of frames (RFC 9113 6). */
export const DATA = 0x0;
export const HEADERS = 0x1;
export const RST_STREAM = 0x3;
const SETTINGS = 0x4;
const GOAWAY = 0x7;

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The fields of a request, as HPACK spells them without its tables (RFC 7541 6.2.2). */
export function headersOf(path: string, authority: string | undefined, method = 'GET'): Buffer {
  const fields = [
    [':method', method],
    [':scheme', 'https'],
    [':path', path],
    ...(authority === undefined ? [] : [[':authority', authority]]),
  ];
  return Buffer.concat(fields.map(([name = '', value = '']) => Buffer.concat([Buffer.of(0), spelt(name), spelt(value)])));
}

function spelt(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.byteLength < 127) return Buffer.concat([Buffer.of(bytes.byteLength), bytes]);
  return Buffer.concat([Buffer.of(127, bytes.byteLength - 127), bytes]);
}

export interface RawSession {
  readonly socket: TLSSocket;
  send(bytes: Buffer): void;
  /** The code of the server's first RST_STREAM. */
  reset(): Promise<number>;
  /** The code of the server's GOAWAY. */
  goaway(): Promise<number>;
  closed(): Promise<void>;
}

/** A client that writes its frames by hand, and need not behave. */
export async function rawSession(edge: SecureEdge, options: ConnectionOptions = {}): Promise<RawSession> {
  const socket = await edge.handshake({ ALPNProtocols: ['h2'], ...options });
  const frames: { readonly type: number; readonly payload: Buffer }[] = [];
  const watchers = new Set<() => void>();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.byteLength >= 9 && rest.byteLength >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3);
      frames.push({ type: rest.readUInt8(3), payload: Buffer.from(rest.subarray(9, 9 + length)) });
      rest = rest.subarray(9 + length);
    }
    for (const watcher of watchers) watcher();
  });
  const first = (type: number): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = frames.find((one) => one.type === type);
        if (found !== undefined) resolve(found.payload);
      };
      watchers.add(look);
      look();
      void closed.then(() => reject(new Error('closed without it')));
    });
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0, Buffer.alloc(0))]));
  await Promise.race([first(SETTINGS), once(socket, 'close')]);
  return {
    socket,
    closed: () => closed,
    send: (bytes) => void (socket.writable && socket.write(bytes)),
    goaway: async () => (await first(GOAWAY)).readUInt32BE(4),
    reset: async () => (await first(RST_STREAM)).readUInt32BE(0),
  };
}
