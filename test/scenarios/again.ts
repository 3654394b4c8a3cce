import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Stage } from './harness.ts';

/** One answer as it came. */
export interface Came {
  readonly status: number;
  /** Status line and fields, with a mark for what differs each time: the date, the request's id, and what is left of a ttl. */
  readonly head: string;
  readonly body: string;
}

/** What a small blob is read for meanwhile may take some. */
const TURNS = 5000;

/** A connection that is kept: each request goes out in one piece, when the answer before it has come. */
export interface Kept {
  ask(text: string): Promise<Came>;
  /** Until Node's parser did not see it: yields the first such answer. */
  askAgain(text: string): Promise<Came>;
}

export async function keep({ defer }: Pick<Stage, 'defer'>, url: string): Promise<Kept> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  defer(() => socket.destroy());
  await once(socket, 'connect');
  let received = '';
  socket.on('data', (chunk: string) => (received += chunk));
  const whole = (method: string): Came | undefined => {
    const end = received.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const head = received.slice(0, end);
    const length = method === 'HEAD' ? 0 : Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (received.length < end + 4 + length) return undefined;
    const body = received.slice(end + 4, end + 4 + length);
    received = received.slice(end + 4 + length);
    return { status: Number(head.slice(9, 12)), head: masked(head), body };
  };
  let heard = (): void => undefined;
  socket.on('data', () => heard());
  socket.on('close', () => heard());
  const ask = async (text: string): Promise<Came> => {
    socket.write(text);
    for (;;) {
      const came = whole(text.slice(0, text.indexOf(' ')));
      if (came !== undefined) return came;
      if (socket.destroyed) throw new Error(`closed behind: ${received}`);
      await new Promise<void>((resolve) => (heard = resolve));
    }
  };
  return {
    ask,
    async askAgain(text) {
      for (let turn = 0; turn < TURNS; turn += 1) {
        let came: Came | undefined;
        const parsed = await parsedDuring(async () => (came = await ask(text)));
        if (came !== undefined && parsed === 0) return came;
      }
      throw new Error(`it is not answered without being read: ${text}`);
    },
  };
}

/** How many requests Node's parsers have read meanwhile: ours, and those of upstreams in this process. */
export async function parsedDuring(work: () => Promise<unknown>): Promise<number> {
  let parsed = 0;
  const count = (): void => void (parsed += 1);
  subscribe('http.server.request.start', count);
  try {
    await work();
  } finally {
    unsubscribe('http.server.request.start', count);
  }
  return parsed;
}

function masked(head: string): string {
  return head
    .replace(/^Date: .*$/m, 'Date: *')
    .replace(/^x-request-id: [0-9a-f]{32}$/m, 'x-request-id: *')
    .replace(/ttl=\d+/, 'ttl=*');
}

/** A request as clients send it. */
export function requestOf(method: string, path: string, fields: readonly string[] = []): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: mirror.test', 'User-Agent: containerd/1.7', ...fields, '', ''].join('\r\n');
}
