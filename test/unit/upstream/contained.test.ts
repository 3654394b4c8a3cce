import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/system/clock.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { createUpstream } from '../../../src/upstream/client.ts';

const SIZE = 2_000_000;

/** Sends the whole body at once and closes behind it, as servers do that say `Connection: close`. */
async function closingServer(): Promise<{ readonly url: URL; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${SIZE}\r\n\r\n`);
      socket.end(Buffer.alloc(SIZE));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test('[R56] an upstream that closes behind a body whose reader pauses does not end the process', async () => {
  const server = await closingServer();
  const upstream = createUpstream({ name: 'closing', url: server.url }, { clock: systemClock });
  const request = {
    kind: 'blob',
    method: 'GET',
    registry: 'docker.io',
    repository: 'library/x',
    reference: digestOf(Buffer.alloc(SIZE)),
  } as const;
  try {
    for (let round = 0; round < 20; round += 1) {
      const answer = await upstream.ask(request, new AbortController().signal);
      if (answer.kind !== 'found' || answer.body === undefined) throw new Error('no body came');
      // A reader slow enough for the transfer to be paused when the end of the connection comes.
      await new Promise((resolve) => setImmediate(resolve));
      let bytes = 0;
      try {
        for (let chunk = await answer.body.read(); chunk !== undefined; chunk = await answer.body.read()) {
          bytes += chunk.byteLength;
          await new Promise((resolve) => setImmediate(resolve));
        }
      } catch {
        // A body that broke is gone on with by whoever reads it; here only the process counts.
      }
      answer.body.close();
      expect(bytes).toBeGreaterThan(0);
    }
  } finally {
    await upstream.close();
    server.close();
  }
});
