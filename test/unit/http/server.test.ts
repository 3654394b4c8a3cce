import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { formatAddress, parseListenAddress } from '../../../src/http/address.ts';
import { createBuffers, LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES } from '../../../src/http/buffers.ts';
import { startEdge } from './edge.ts';

describe('addresses', () => {
  test.each([
    [':5000', { port: 5000 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:5000', { host: '::1', port: 5000 }],
    ['localhost:5000', { host: 'localhost', port: 5000 }],
  ])('%s', (text, expected) => expect(parseListenAddress(text)).toEqual(expected));

  test.each(['5000', '', ':', ':99999', '::1:5000', '[::1]', 'a:b', ':5000/'])('"%s" is none', (text) => {
    expect(() => parseListenAddress(text)).toThrow(`"${text}"`);
  });

  test('are shown as they can be dialled', () => {
    expect(formatAddress({ address: '::1', family: 'IPv6', port: 1 })).toBe('[::1]:1');
    expect(formatAddress({ address: '127.0.0.1', family: 'IPv4', port: 2 })).toBe('127.0.0.1:2');
    expect(formatAddress('/run/a.sock')).toBe('/run/a.sock');
  });

  test('one that is taken rejects', async () => {
    const edge = await startEdge();
    await expect(startEdge({ listener: { addr: `127.0.0.1:${edge.port}` } })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('buffers', () => {
  test('are bounded by size, reused, and never reused once discarded', () => {
    const buffers = createBuffers(4 * LARGE_BUFFER_BYTES);
    const lent = Array.from({ length: 8 }, () => buffers.borrow(SMALL_BUFFER_BYTES));
    expect(lent.every((buffer) => buffer?.byteLength === SMALL_BUFFER_BYTES)).toBe(true);
    expect(buffers.borrow(SMALL_BUFFER_BYTES)).toBeUndefined();
    expect(buffers.borrow(LARGE_BUFFER_BYTES)).toBeDefined();
    const [first, second] = lent;
    buffers.giveBack(first!);
    expect(buffers.borrow(SMALL_BUFFER_BYTES)).toBe(first);
    buffers.discard(second!);
    const next = buffers.borrow(SMALL_BUFFER_BYTES);
    expect(next).toBeDefined();
    expect(next).not.toBe(second);
    expect(buffers.lentBytes()).toBe(8 * SMALL_BUFFER_BYTES + LARGE_BUFFER_BYTES);
  });
});

test('http.headers are sent with every answer, and those that frame it are refused at once', async () => {
  const edge = await startEdge({ handler: { headers: { 'Strict-Transport-Security': ['max-age=1'], 'X-A': ['1', '2'] } } });
  for (const path of ['/v2/', '/nothing']) {
    const { headers } = await edge.get(path);
    expect([headers.get('strict-transport-security'), headers.get('x-a')]).toEqual(['max-age=1', '1, 2']);
  }
  await expect(startEdge({ handler: { headers: { 'Content-Length': ['3'] } } })).rejects.toThrow('Content-Length');
});

test('the pages of a closed client are not served to the next: a socket that never spoke costs nothing', async () => {
  const edge = await startEdge();
  const socket = connect(edge.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
  expect((await edge.get('/v2/')).status).toBe(200);
  expect(edge.events.filter(({ kind }) => kind === 'unreadable')).toEqual([]);
});
