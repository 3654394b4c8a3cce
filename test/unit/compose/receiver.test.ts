import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { sendNotification } from '../../../src/compose/receiver.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  ends.push(() => (server.close(), server.closeAllConnections()));
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Of the loop: what the kernel holds for this process has been read after a few. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const request = { headers: { 'x-two': ['a', 'b'], 'content-type': ['x/y'] }, body: Buffer.from('{}') };
const never = new AbortController().signal;

test('sends what it is given, and the address’s user as Basic', async () => {
  const seen: IncomingMessage[] = [];
  const at = await serve((incoming, outgoing) => {
    seen.push(incoming);
    outgoing.writeHead(204).end();
  });
  expect(await sendNotification(`http://ann:pass@${at}/hook?a=b`, request, never)).toBe(204);
  expect(seen[0]).toMatchObject({ method: 'POST', url: '/hook?a=b' });
  expect(seen[0]?.headers).toMatchObject({
    'content-length': '2',
    'content-type': 'x/y',
    'x-two': 'a, b',
    authorization: `Basic ${Buffer.from('ann:pass').toString('base64')}`,
  });
});

test('[CVE-2020-13788] [GHSA-33p6-fx42-7rf5] a redirect is an answer, and nobody is asked there', async () => {
  let asked = 0;
  const canary = await serve((_, outgoing) => {
    asked++;
    outgoing.end();
  });
  const at = await serve((_, outgoing) => outgoing.writeHead(307, { location: `http://${canary}/` }).end());
  expect(await sendNotification(`http://${at}/`, request, never)).toBe(307);
  expect(asked).toBe(0);
});

test('an answer without end is cut off, and its status counts', async () => {
  let written = 0;
  const closed = new Promise<void>((resolve) => {
    void serve((_, outgoing) => {
      outgoing.on('close', resolve);
      const write = (): void => {
        while (!outgoing.destroyed) {
          written += 65_536;
          if (!outgoing.write(Buffer.alloc(65_536))) break;
        }
      };
      outgoing.on('drain', write).writeHead(200);
      write();
    }).then(async (at) => expect(await sendNotification(`http://${at}/`, request, never)).toBe(200));
  });
  await closed;
  expect(written).toBeLessThan(64 * 1024 * 1024);
});

test('an answer whose body hangs has its status when the time is over; one whose head hangs is none', async () => {
  const over = new AbortController();
  const begun = await serve((_, outgoing) => {
    outgoing.writeHead(200, { 'content-length': '10' }).write('x', () => void turns(10).then(() => over.abort()));
  });
  expect(await sendNotification(`http://${begun}/`, request, over.signal)).toBe(200);
  const late = new AbortController();
  const silent = await serve(() => late.abort(new Error('too late')));
  await expect(sendNotification(`http://${silent}/`, request, late.signal)).rejects.toThrow('too late');
});

test('nobody there is an error', async () => {
  const at = await serve(() => undefined);
  ends.pop()?.();
  await expect(sendNotification(`http://${at}/`, request, never)).rejects.toThrow('ECONNREFUSED');
});

test('a certificate that nobody vouches for is refused before anything is sent', async () => {
  const directory = join(import.meta.dirname, '../upstream/tls');
  const [key, cert] = ['server-key.pem', 'server.pem'].map((name) => readFileSync(join(directory, name)));
  let asked = 0;
  const server = createTlsServer({ key, cert }, () => asked++).listen(0, '127.0.0.1');
  ends.push(() => server.close());
  await once(server, 'listening');
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
  await expect(sendNotification(url, request, never)).rejects.toThrow(/certificate/);
  expect(asked).toBe(0);
});
