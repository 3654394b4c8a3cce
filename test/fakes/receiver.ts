import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request of a notification, as it came. */
export interface Notified {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly event: NotifiedEvent;
}

export interface NotifiedEvent {
  readonly id: string;
  readonly timestamp: string;
  readonly action: string;
  readonly target: Readonly<Record<string, unknown>>;
  readonly request: Readonly<Record<string, unknown>>;
  readonly actor: unknown;
  readonly source: Readonly<Record<string, unknown>>;
}

export interface Receiver {
  readonly url: string;
  readonly received: readonly Notified[];
  /** Resolves when so many have come. */
  until(count: number): Promise<readonly Notified[]>;
  /** What it answers from now on; `location` makes it a redirect. */
  answers(status: number, location?: string): void;
  close(): Promise<void>;
}

/** A real receiver of notifications on the loopback. */
export async function createReceiver(): Promise<Receiver> {
  const received: Notified[] = [];
  const waiting = new Set<() => void>();
  let answer: { readonly status: number; readonly location: string | undefined } = { status: 200, location: undefined };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const { events } = JSON.parse(body) as { events: readonly [NotifiedEvent] };
      received.push({ headers: request.headers, body, event: events[0] });
      response.writeHead(answer.status, answer.location === undefined ? {} : { location: answer.location }).end('noted');
      for (const look of waiting) look();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=hush`,
    received,
    until: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (received.length < count) return;
          waiting.delete(look);
          resolve(received);
        };
        waiting.add(look);
        look();
      }),
    answers: (status, location) => void (answer = { status, location }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
