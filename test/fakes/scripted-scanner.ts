import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** What it was asked. */
export interface Asked {
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly reference: string;
  readonly pull: string;
  readonly image?: string;
  readonly manifest: unknown;
}

/** A verdict; or whatever the script writes itself. */
export type ScannerScript = (asked: Asked, outgoing: ServerResponse) => unknown;

/** A scanner or policy server over real sockets of the loopback. It lets everything in until a script says otherwise. */
export interface ScriptedScanner {
  readonly url: string;
  readonly asked: readonly Asked[];
  /** What the script yields is the answer, as JSON with status 200; where it yields nothing it has answered by itself. */
  answers(script: ScannerScript): void;
  /** Resolves when it has been asked so often. */
  received(count: number): Promise<Asked>;
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

export async function createScriptedScanner(): Promise<ScriptedScanner> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  let waiting: { readonly count: number; readonly resolve: (asked: Asked) => void }[] = [];
  let script: ScannerScript = () => ({ allow: true, reason: 'nothing was found' });
  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const question = JSON.parse(await text(incoming)) as Asked;
      asked.push(question);
      waiting = waiting.filter(({ count, resolve }) => {
        if (asked.length < count) return true;
        resolve(asked[count - 1]!);
        return false;
      });
      const answer = await script(question, outgoing);
      if (answer === undefined) return;
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    })().catch(() => outgoing.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket));
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/admit`,
    asked,
    answers: (next) => void (script = next),
    received: (count) =>
      asked.length >= count ? Promise.resolve(asked[count - 1]!) : new Promise((resolve) => waiting.push({ count, resolve })),
    down: stop,
    up: () => listen(port),
    close: stop,
  };
}
