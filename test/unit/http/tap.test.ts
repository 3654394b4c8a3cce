import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Connection } from '../../../src/http/connection.ts';
import { tap } from '../../../src/http/tap.ts';
import { settle } from '../pull/house.ts';
import { request } from './edge.ts';

const KNOWN = request('GET', '/v2/a/manifests/1');

/** A connection to Node's parser whose pieces arrive as they are given; every request is answered, those of `KNOWN` by `again`. */
function tapped() {
  const parsed: string[] = [];
  const again: string[] = [];
  const heard: (string | undefined)[] = [];
  const wire = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  Object.assign(wire, { destroySoon: () => undefined });
  const connection = new Connection(wire as unknown as Socket);
  const server = createServer((incoming: IncomingMessage, outgoing) => {
    parsed.push(incoming.url ?? '');
    heard.push(connection.heard?.text);
    connection.heard?.requests.push(incoming);
    connection.enter();
    outgoing.once('close', () => connection.leave());
    incoming.resume();
    outgoing.end('answered');
  });
  onTestFinished(() => void wire.destroy());
  server.emit('connection', wire);
  tap(wire as unknown as Socket, connection, (text) => {
    if (text !== KNOWN) return false;
    again.push(text);
    return true;
  });
  const arrive = async (...pieces: readonly string[]): Promise<void> => {
    for (const piece of pieces) {
      wire.push(Buffer.from(piece, 'latin1'));
      await settle(4);
    }
  };
  return { arrive, parsed, again, heard, connection, wire };
}

describe('what is read before Node’s parser', () => {
  test('a request that came before is answered again, and the parser does not see it', async () => {
    const { arrive, parsed, again } = tapped();
    await arrive(KNOWN, KNOWN, request('GET', '/other'), KNOWN);
    expect(parsed).toEqual(['/v2/a/manifests/1', '/other']);
    expect(again).toEqual([KNOWN, KNOWN]);
  });

  test('the first request of a connection is the parser’s, since Node waits for one', async () => {
    const { arrive, parsed, again } = tapped();
    await arrive(KNOWN);
    expect([parsed.length, again.length]).toEqual([1, 0]);
  });

  test('what was heard is one whole request', async () => {
    const { arrive, heard } = tapped();
    await arrive(KNOWN, 'GET /half HTTP/1.1\r\n', 'Host: mirror.test\r\n\r\n', request('GET', '/whole'));
    expect(heard).toEqual([KNOWN, undefined, undefined]);
  });

  test.each([
    ['the rest of a head', ['GET /x HTTP/1.1\r\nX-Rest: ', KNOWN]],
    ['a body', [request('POST', '/x', [`Content-Length: ${KNOWN.length}`]), KNOWN]],
    ['the body of a GET', [request('GET', '/x', [`Content-Length: ${KNOWN.length}`]), KNOWN]],
    [
      'a chunk',
      [request('GET', '/x', ['Transfer-Encoding: chunked']), `${KNOWN.length.toString(16)}\r\n`, KNOWN, '\r\n0\r\n\r\n'],
    ],
    ['one of two', [KNOWN + KNOWN]],
    ['what follows bytes that are no request', ['\r\n', KNOWN]],
    ['longer than a head should be', [request('GET', '/x', [`X-Long: ${'x'.repeat(2048)}`]), KNOWN]],
  ])('%s is no request, and from then on the connection is the parser’s alone', async (_what, pieces) => {
    const { arrive, parsed, again } = tapped();
    await arrive(request('GET', '/first'));
    await arrive(...pieces);
    const before = parsed.length;
    await arrive(KNOWN, KNOWN);
    expect(parsed.length - before).toBe(2);
    expect(again).toEqual([]);
  });

  test('nothing is answered again beside what runs, nor once the connection is to end', async () => {
    const { arrive, parsed, again, connection } = tapped();
    await arrive(KNOWN);
    connection.enter();
    await arrive(KNOWN);
    connection.leave();
    connection.closing = true;
    await arrive(KNOWN);
    expect([parsed.length, again.length]).toEqual([3, 0]);
  });

  test('an answer that is due leaves before anything else is read', async () => {
    const { arrive, parsed, again, connection } = tapped();
    await arrive(KNOWN);
    const order: string[] = [];
    connection.enter();
    connection.due = () => order.push(`due before ${parsed.length + again.length + 1}`);
    await arrive(KNOWN, request('GET', '/other'));
    expect(order).toEqual(['due before 2', 'due before 3']);
  });

  test('where Node reads in another way, nothing changes', () => {
    const wire = new Duplex({ read: () => undefined, write: () => undefined });
    onTestFinished(() => void wire.destroy());
    tap(wire as unknown as Socket, new Connection(wire as unknown as Socket), () => true);
    expect(wire.listenerCount('data')).toBe(0);
  });
});
