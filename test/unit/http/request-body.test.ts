import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import type { Push, PushRequest } from '../../../src/push/push.ts';
import { STALL_MS, startEdge, type Edge } from './edge.ts';

const PATH = '/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000';
const ACCEPTED = { status: 202, headers: { 'content-length': '0' }, body: { kind: 'none' } } as const;
const head = (more: string, method = 'PATCH'): string => `${method} ${PATH} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

/** Reads the whole body, and says how much it was. */
const reads: Push = async ({ body }) => {
  let size = 0;
  for (let piece = await body.next(); piece !== undefined; piece = await body.next()) size += piece.byteLength;
  return { ...ACCEPTED, headers: { ...ACCEPTED.headers, 'x-size': String(size), 'x-length': String(body.length) } };
};
const PIECE = Buffer.alloc(1024 * 1024);
const refuses: Push = () => Promise.reject(new RegistryError('RANGE_INVALID', 'not there'));

async function talk(edge: Edge): Promise<{ socket: Socket; until: (text: string) => Promise<string> }> {
  const socket = await edge.connect();
  let all = '';
  socket.setEncoding('latin1').on('data', (text: string) => (all += text));
  const until = async (text: string): Promise<string> => {
    while (!all.includes(text))
      await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => Promise.reject(new Error(all)))]);
    const seen = all.slice(0, all.indexOf(text) + text.length);
    all = all.slice(seen.length);
    return seen;
  };
  return { socket, until };
}

describe('a body that is wanted', () => {
  test('is read to its end, with and without a length', async () => {
    const edge = await startEdge({ app: { push: reads } });
    const bytes = 'x'.repeat(100_000);
    for (const [framed, length] of [
      [`Content-Length: 100000\r\n\r\n${bytes}`, '100000'],
      [`Transfer-Encoding: chunked\r\n\r\n186a0\r\n${bytes}\r\n0\r\n\r\n`, 'undefined'],
      ['Content-Length: 0\r\n\r\n', '0'],
      ['\r\n', '0'],
    ] as const) {
      const size = framed.includes(bytes) ? 100_000 : 0;
      const text = await edge.raw(`PATCH ${PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${framed}`);
      expect(text.toLowerCase()).toContain(`x-size: ${size}\r\nx-length: ${length}\r\n`);
    }
  });

  test('is asked for when it is, and not before', async () => {
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const edge = await startEdge({ app: { push: async (request) => (await gate, reads(request)) } });
    const { socket, until } = await talk(edge);
    socket.write(head('Content-Length: 3\r\nExpect: 100-continue\r\n'));
    let asked = false;
    const waiting = until('HTTP/1.1 100 Continue\r\n\r\n').then(() => (asked = true));
    await edge.get('/livez');
    expect(asked).toBe(false);
    go();
    await waiting;
    socket.write('abc');
    expect(await until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 202 [^]*x-size: 3\r\n/i);
    // The connection is kept.
    socket.write(head('Content-Length: 2\r\n') + 'ab');
    expect(await until('\r\n\r\n')).toMatch(/x-size: 2\r\n/i);
  });

  test('waits in the client while nobody reads it', async () => {
    let request: PushRequest | undefined;
    let done: () => void = () => undefined;
    const push: Push = async (asked) => {
      request = asked;
      await asked.body.next();
      await new Promise<void>((resolve) => (done = resolve));
      return ACCEPTED;
    };
    const edge = await startEdge({ app: { push } });
    const { socket, until } = await talk(edge);
    const before = process.memoryUsage().arrayBuffers;
    socket.write(head('Content-Length: 200000000\r\n'));
    const piece = Buffer.alloc(1_000_000);
    let sent = 0;
    while (sent < 200_000_000 && socket.write(piece)) sent += piece.length;
    while (request === undefined) await edge.get('/livez');
    for (let turn = 0; turn < 20; turn += 1) await edge.get('/livez');
    expect(socket.writableLength).toBeGreaterThan(0);
    expect(sent).toBeLessThan(20_000_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30_000_000);
    done();
    expect(await until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 202 /);
  });

  test('[S24] that brings nothing is given up after the stall time, and the client is told', async () => {
    const edge = await startEdge({
      app: {
        push: (request) =>
          reads(request).catch((error: unknown) => {
            throw new RegistryError('BLOB_UPLOAD_INVALID', String(error), { status: 400 });
          }),
      },
    });
    const { socket, until } = await talk(edge);
    socket.write(head('Content-Length: 10\r\n') + 'abc');
    while (edge.clock.pending() === 0) await edge.get('/livez');
    await edge.clock.advance(STALL_MS - 1);
    await edge.clock.advance(2);
    expect(await until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await until('}')).toContain('no byte of it came for 60 s');
  });

  test('[S24] that drips is given up as well', async () => {
    const failed: unknown[] = [];
    let pieces = 0;
    const push: Push = async ({ body }) => {
      try {
        for (let piece = await body.next(); piece !== undefined; piece = await body.next()) pieces += 1;
      } catch (error) {
        failed.push(error);
      }
      return ACCEPTED;
    };
    const edge = await startEdge({ app: { push } });
    const { socket, until } = await talk(edge);
    socket.write(head('Content-Length: 1000\r\n'));
    for (let drop = 1; drop <= 12 && failed.length === 0; drop += 1) {
      socket.write('x');
      while (pieces < drop && failed.length === 0) await edge.get('/livez');
      await edge.clock.advance(STALL_MS / 2);
    }
    expect(String(failed[0])).toContain('in five minutes');
    await until('HTTP/1.1 202');
  });

  test('that the client broke off before anybody read it is a failure, not an end', async () => {
    const failed: unknown[] = [];
    const push: Push = async (request) => {
      await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
      return reads(request).catch((error: unknown) => (failed.push(error), Promise.reject(error)));
    };
    const edge = await startEdge({ app: { push } });
    const { socket } = await talk(edge);
    socket.write(head('Content-Length: 10\r\n') + 'abc');
    while (!edge.events.some(({ kind }) => kind === 'request started')) await edge.get('/livez');
    for (let turn = 0; turn < 5; turn += 1) await edge.get('/livez');
    socket.destroy();
    while (failed.length === 0) await edge.get('/livez');
    expect(String(failed[0])).toContain('BodyCut');
  });

  test('that the client breaks off is a failure, not an end', async () => {
    const failed: unknown[] = [];
    const edge = await startEdge({
      app: { push: (request) => reads(request).catch((error: unknown) => (failed.push(error), Promise.reject(error))) },
    });
    for (const framing of ['Content-Length: 10\r\n', 'Transfer-Encoding: chunked\r\n']) {
      const { socket } = await talk(edge);
      socket.write(head(framing) + (framing.startsWith('C') ? 'abc' : '3\r\nabc\r\n'));
      while (edge.clock.pending() === 0) await edge.get('/livez');
      socket.destroy();
      const seen = failed.length;
      while (failed.length === seen) await edge.get('/livez');
      expect(String(failed.at(-1))).toContain('BodyCut');
    }
  });
});

describe('a body that is not wanted', () => {
  test('is not asked for, and the connection ends behind the answer', async () => {
    const edge = await startEdge({ app: { push: refuses } });
    const text = await edge.raw(head('Content-Length: 3\r\nExpect: 100-continue\r\n'));
    expect(text).toMatch(/^HTTP\/1\.1 416 /);
    expect(text).toMatch(/\r\nconnection: close\r\n/i);
    expect(text).not.toContain('100 Continue');
  });

  test('[P13] is thrown away, and the next request on the connection is answered', async () => {
    const partly: Push = async (request) => {
      await request.body.next();
      return refuses(request);
    };
    for (const push of [refuses, partly]) {
      const edge = await startEdge({ app: { push } });
      const { socket, until } = await talk(edge);
      for (let turn = 0; turn < 3; turn += 1) {
        socket.write(head('Content-Length: 500000\r\n') + 'x'.repeat(500_000));
        expect(await until('\r\n\r\n')).toMatch(/^(?:\{[^]*\})?HTTP\/1\.1 416 /);
        await until('}]}');
      }
      expect(edge.faults()).toEqual([]);
    }
  });

  test('the answer reaches a client that looks for it only when it has sent all', async () => {
    for (const framing of [`Content-Length: ${32 * PIECE.length}\r\n`, 'Transfer-Encoding: chunked\r\n']) {
      const chunked = framing.startsWith('T');
      const edge = await startEdge({ app: { push: refuses } });
      const socket = await edge.connect();
      socket.pause();
      const failed: unknown[] = [];
      socket.on('error', (error) => failed.push(error));
      socket.write(head(framing));
      for (let sent = 0; sent < 32; sent += 1) {
        const piece = chunked ? Buffer.concat([Buffer.from('100000\r\n'), PIECE, Buffer.from('\r\n')]) : PIECE;
        await new Promise<void>((resolve) => void socket.write(piece, () => resolve()));
      }
      if (chunked) socket.write('0\r\n\r\n');
      let text = '';
      socket.setEncoding('latin1').on('data', (data: string) => (text += data));
      const closed = once(socket, 'close');
      socket.resume();
      await closed;
      expect(failed).toEqual([]);
      expect(text).toMatch(/^HTTP\/1\.1 416 [^]*\}\]\}$/);
    }
  });

  test('[P13] one that goes on for longer than anybody reads on is cut', async () => {
    const edge = await startEdge({ app: { push: refuses } });
    const socket = connect({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined).resume();
    const closed = new Promise((resolve) => void socket.on('close', resolve));
    socket.write(head('Content-Length: 1000000000000\r\n'));
    const send = (error?: Error | null): void => void (error || socket.destroyed || socket.write(PIECE, send));
    send();
    await closed;
    expect(socket.bytesWritten).toBeGreaterThan(256 * PIECE.length);
    expect(edge.faults()).toEqual([]);
  }, 10_000);

  test('[S24] a client that goes on sending is cut after ten seconds', async () => {
    const edge = await startEdge({ app: { push: refuses } });
    const { socket, until } = await talk(edge);
    socket.on('error', () => undefined);
    socket.write(head('Content-Length: 1000000000\r\n'));
    socket.write(Buffer.alloc(2 * PIECE.length));
    await until('}]}');
    await once(socket, 'end');
    const closed = once(socket, 'close');
    await edge.clock.advance(10_001);
    const send = (): void => void (socket.destroyed || socket.write('x', () => setImmediate(send)));
    send();
    await closed;
    await edge.clock.advance(STALL_MS);
    expect(edge.clock.pending()).toBe(0);
  });
});
