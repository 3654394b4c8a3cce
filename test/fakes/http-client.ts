import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface GetOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** An answer whose head has come; its body flows when it is asked for. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Milliseconds from the request to the head of the answer. */
  readonly headMs: number;
  /** The whole body; rejects when the connection breaks before its end. */
  bytes(): Promise<Buffer>;
  text(): Promise<string>;
  json<T = unknown>(): Promise<T>;
  /** `sha256:…` of the whole body, without holding it; rejects, with the answer's text, when it is a refusal. */
  sha256(): Promise<string>;
  /** At least one piece, or `undefined` at the end: for reading slowly. */
  next(): Promise<Buffer | undefined>;
  /** What came before the connection broke, or before the end. */
  untilBroken(): Promise<{ readonly bytes: Buffer; readonly broken: boolean }>;
  /** Leaves: breaks the connection. */
  abort(): void;
}

export interface HttpClient {
  get(path: string, options?: GetOptions): Promise<Reply>;
  head(path: string, options?: GetOptions): Promise<Reply>;
  /** A bare connection: whatever is written goes out as it is. */
  raw(): Promise<RawConnection>;
  close(): void;
}

export interface RawConnection {
  readonly socket: Socket;
  write(text: string): void;
  /** Everything that came until `done` says so, or the end of the connection. */
  readUntil(done: (text: string) => boolean): Promise<string>;
  close(): void;
}

/** Real requests over real sockets, with nothing decoded, followed or tried again. */
export function createHttpClient(base: string, options: { readonly keepAlive?: boolean } = {}): HttpClient {
  const agent = new Agent({ keepAlive: options.keepAlive ?? false, maxSockets: Infinity });
  const ask = (path: string, method: string, more: GetOptions = {}): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const started = performance.now();
      const { hostname, port } = new URL(base);
      const outgoing = request({
        agent,
        hostname,
        port,
        path,
        method: more.method ?? method,
        headers: { ...more.headers } as Record<string, string>,
        ...(more.signal === undefined ? {} : { signal: more.signal }),
      });
      outgoing.once('error', reject);
      outgoing.once('response', (incoming) => resolve(toReply(incoming, performance.now() - started)));
      outgoing.end(more.body);
    });
  return {
    get: (path, more) => ask(path, 'GET', more),
    head: (path, more) => ask(path, 'HEAD', more),
    async raw() {
      const { hostname, port } = new URL(base);
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      return toRaw(socket);
    },
    close: () => agent.destroy(),
  };
}

function toReply(incoming: IncomingMessage, headMs: number): Reply {
  const pieces = incoming[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  incoming.on('error', () => incoming.destroy());
  const next = async (): Promise<Buffer | undefined> => (await pieces.next()).value;

  async function each(piece: (bytes: Buffer) => void): Promise<void> {
    for (let found = await next(); found !== undefined; found = await next()) piece(found);
    // Node ends the stream of a cut answer with an error; a length-less one it cannot tell.
    if (!incoming.complete) throw new Error('the answer ended before its body was whole');
  }

  async function bytes(): Promise<Buffer> {
    const parts: Buffer[] = [];
    await each((part) => void parts.push(part));
    return Buffer.concat(parts);
  }

  const text = async (): Promise<string> => (await bytes()).toString('utf8');
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    headMs,
    bytes,
    text,
    json: async <T>() => JSON.parse(await text()) as T,
    async sha256() {
      if ((incoming.statusCode ?? 500) >= 300) throw new Error(`${incoming.statusCode}: ${await text()}`);
      const hash = createHash('sha256');
      await each((part) => void hash.update(part));
      return `sha256:${hash.digest('hex')}`;
    },
    next,
    async untilBroken() {
      const parts: Buffer[] = [];
      try {
        await each((part) => void parts.push(part));
        return { bytes: Buffer.concat(parts), broken: false };
      } catch {
        return { bytes: Buffer.concat(parts), broken: true };
      }
    },
    abort: () => void incoming.destroy(),
  };
}

function toRaw(socket: Socket): RawConnection {
  let text = '';
  let wake: () => void = () => undefined;
  let ended = false;
  socket.setEncoding('latin1');
  socket.on('data', (piece: string) => {
    text += piece;
    wake();
  });
  for (const event of ['end', 'close', 'error']) {
    socket.on(event, () => {
      ended = true;
      wake();
    });
  }
  return {
    socket,
    write: (bytes) => void socket.write(bytes, 'latin1'),
    async readUntil(done) {
      while (!done(text) && !ended) await new Promise<void>((resolve) => (wake = resolve));
      return text;
    },
    close: () => socket.destroy(),
  };
}
