import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { BLOB_PATH, readUntil, request, STALL_MS, startEdge } from './edge.ts';
import { pullOf, scriptedContent, wholeReply } from './scripted-content.ts';

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Bytes in which no part repeats soon, so that a buffer sent twice or out of order shows. */
function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE(at, at);
  return bytes;
}

/** A promise and its key. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe('a body', () => {
  test.each([0, 1, 16_383, 16_384, 16_385, 300_000, 24 * 1024 * 1024 + 3])('of %i bytes arrives as it is', async (size) => {
    const bytes = pattern(size);
    const content = scriptedContent(bytes);
    const edge = await startEdge({ pull: pullOf(wholeReply(content)) });
    const reply = await edge.get(BLOB_PATH);
    expect(sha(new Uint8Array(await reply.arrayBuffer()))).toBe(sha(bytes));
    expect(reply.headers.get('content-length')).toBe(String(size));
    await edge.ended(1);
    expect(content.counts.closed).toBe(content.counts.opened);
    expect(edge.buffers.lentBytes()).toBe(0);
    expect(edge.records()[0]).toMatchObject({ bytes: size, aborted: false, status: 200 });
  });

  test('needs no pool: the connection has a buffer of its own, which is not reused too soon', async () => {
    const bytes = pattern(3_000_000);
    const edge = await startEdge({ buffersMax: 0, pull: pullOf(wholeReply(scriptedContent(bytes))) });
    const reply = await edge.get(BLOB_PATH);
    expect(sha(new Uint8Array(await reply.arrayBuffer()))).toBe(sha(bytes));
  });

  test('many at once share a small pool and none gets bytes of another', async () => {
    const sizes = Array.from({ length: 12 }, (_, index) => 3_000_000 + index * 4);
    const edge = await startEdge({
      buffersMax: 2 * 1024 * 1024,
      pull: ({ range }) => Promise.resolve(wholeReply(scriptedContent(pattern(Number(range)).fill(Number(range) % 251, 4096)))),
    });
    const bodies = await Promise.all(
      sizes.map(
        async (size) => new Uint8Array(await (await edge.get(BLOB_PATH, { headers: { range: String(size) } })).arrayBuffer()),
      ),
    );
    expect(bodies.map(sha)).toEqual(sizes.map((size) => sha(pattern(size).fill(size % 251, 4096))));
    expect(edge.buffers.lentBytes()).toBe(0);
    expect(edge.buffers.bytes()).toBeLessThanOrEqual(2 * 1024 * 1024);
  });

  test('[P52] its first bytes leave before the rest is there', async () => {
    const first = gate();
    let reads = 0;
    const content = scriptedContent(pattern(100), {
      chunkMax: 50,
      gate: () => (++reads > 1 ? first.opened : Promise.resolve()),
    });
    const edge = await startEdge({ pull: pullOf(wholeReply(content)) });
    const reply = await edge.get(BLOB_PATH);
    const reader = reply.body!.getReader();
    expect((await reader.read()).value).toHaveLength(50);
    first.open();
    expect((await reader.read()).value).toHaveLength(50);
    expect((await reader.read()).done).toBe(true);
  });

  test('of unknown size is chunked, and cut without a last chunk when it fails', async () => {
    const whole = await startEdge({ pull: pullOf(wholeReply(scriptedContent(pattern(40_000)), null)) });
    const reply = await whole.get(BLOB_PATH);
    expect(reply.headers.get('transfer-encoding')).toBe('chunked');
    expect(sha(new Uint8Array(await reply.arrayBuffer()))).toBe(sha(pattern(40_000)));

    const broken = await startEdge({ pull: pullOf(wholeReply(scriptedContent(pattern(40_000), { failAt: 2 }), null)) });
    const text = await broken.raw(request('GET', BLOB_PATH, ['Connection: close']));
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.endsWith('0\r\n\r\n')).toBe(false);
    expect(broken.records()[0]).toMatchObject({ aborted: true });
  });

  test('of unknown size to an HTTP/1.0 client is reset when it fails, since its end is the end of the connection', async () => {
    const edge = await startEdge({ pull: pullOf(wholeReply(scriptedContent(pattern(40_000), { failAt: 2 }), null)) });
    const socket = connect({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.resume();
    // libuv may report a reset as an end. Behind a FIN a write succeeds, behind a reset it does not.
    const reset = new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(true));
      socket.once('end', () => socket.write('x', (error) => resolve(error instanceof Error)));
    });
    socket.write(`GET ${BLOB_PATH} HTTP/1.0\r\nHost: a\r\n\r\n`);
    expect(await reset).toBe(true);
    socket.destroy();
  });

  test('[P61] in parts has each head before its bytes', async () => {
    const content = scriptedContent(Buffer.from('0123456789'));
    const parts = [
      { head: Buffer.from('[a]'), from: 1, to: 3 },
      { head: Buffer.from('[b]'), from: 7, to: 10 },
    ];
    const body = { kind: 'parts', content, parts, tail: Buffer.from('[end]') } as const;
    const edge = await startEdge({ pull: pullOf({ status: 206, headers: { 'content-length': '16' }, body }) });
    expect(await (await edge.get(BLOB_PATH)).text()).toBe('[a]12[b]789[end]');
    expect(content.counts).toMatchObject({ opened: 2, closed: 2 });
  });

  test('a range is what was asked for', async () => {
    const content = scriptedContent(Buffer.from('0123456789'));
    const body = { kind: 'content', content, from: 2, to: 5 } as const;
    const edge = await startEdge({ pull: pullOf({ status: 206, headers: { 'content-length': '3' }, body }) });
    expect(await (await edge.get(BLOB_PATH)).text()).toBe('234');
  });
});

describe('[S18] [P69] a length that is not true', () => {
  const SECOND = 'the second answer';

  test.each([
    ['one more than there is', 1],
    ['one less than there is', -1],
    ['far more', 100_000],
  ])('%s: cut, and the next answer never appears inside', async (_, delta) => {
    for (const size of [10, 16_384, 500_000]) {
      const content = scriptedContent(pattern(size));
      let asked = 0;
      const edge = await startEdge({
        pull: () =>
          Promise.resolve(
            ++asked === 1
              ? wholeReply(content, size + delta)
              : {
                  status: 200,
                  headers: { 'content-length': String(SECOND.length) },
                  body: { kind: 'bytes', bytes: Buffer.from(SECOND) },
                },
          ),
      });
      const text = await edge.raw(request('GET', BLOB_PATH) + request('GET', BLOB_PATH, ['Connection: close']));
      if (text.startsWith('HTTP/1.1 500 ')) continue; // Found out before the head left: an honest error.
      const body = text.slice(text.indexOf('\r\n\r\n') + 4);
      expect(body.length).toBeLessThan(size + delta);
      expect(text).not.toContain(SECOND);
      expect(content.counts.closed).toBe(content.counts.opened);
    }
  });

  test('the last byte promised does not leave while the reader holds more', async () => {
    const edge = await startEdge({ pull: pullOf(wholeReply(scriptedContent(pattern(100), { chunkMax: 10 }), 50)) });
    const text = await edge.raw(request('GET', BLOB_PATH, ['Connection: close']));
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toHaveLength(40);
  });

  test('of bytes at hand is cut too', async () => {
    for (const declared of ['9', '11']) {
      const edge = await startEdge({
        pull: pullOf({
          status: 200,
          headers: { 'content-length': declared },
          body: { kind: 'bytes', bytes: Buffer.from('0123456789') },
        }),
      });
      const text = await edge.raw(request('GET', BLOB_PATH) + request('GET', '/v2/'));
      expect(text).not.toContain('{}');
    }
  });
});

describe('[S48] content that fails', () => {
  test.each([
    ['at open', 'open', 500],
    ['at the first read', 1, 500],
    ['at the second read', 2, 200],
    ['at the fifth read', 5, 200],
  ] as const)('%s is never a complete 200', async (_, failAt, status) => {
    const content = scriptedContent(pattern(4_000_000), { failAt });
    const edge = await startEdge({ pull: pullOf(wholeReply(content)) });
    const text = await edge.raw(request('GET', BLOB_PATH, ['Connection: close']));
    expect(text.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
    const body = text.slice(text.indexOf('\r\n\r\n') + 4);
    const honest = status === 200 ? body.length < 4_000_000 : body.includes('"UNKNOWN"');
    expect(honest).toBe(true);
    expect(text).not.toContain('fails');
    expect(content.counts.closed).toBe(content.counts.opened);
    expect(edge.buffers.lentBytes()).toBe(0);
  });
});

describe('[S24] [R53] clients that do not read', () => {
  test('400 pipelined GETs and a reader that stops hold one reader, and let it go', async () => {
    const contents: ReturnType<typeof scriptedContent>[] = [];
    const edge = await startEdge({
      pull: () => {
        const content = scriptedContent(pattern(16 * 1024 * 1024));
        contents.push(content);
        return Promise.resolve(wholeReply(content));
      },
    });
    const socket = await edge.connect();
    socket.pause();
    socket.write(request('GET', BLOB_PATH).repeat(400));
    // The kernel's buffers fill, and then nothing moves: what is lent is what one body may hold.
    await settled(() => contents[0]?.counts.reads ?? 0);
    expect(contents).toHaveLength(1);
    expect(edge.buffers.lentBytes()).toBeLessThanOrEqual(2 * 1024 * 1024);

    await edge.clock.advance(STALL_MS * 1.5);
    await edge.ended(400);
    expect(contents).toHaveLength(1);
    expect(contents[0]?.counts).toMatchObject({ opened: 1, closed: 1 });
    expect(edge.buffers.lentBytes()).toBe(0);
    expect(edge.clock.pending()).toBe(0);
    expect(edge.listener.connections()).toBe(0);
  });

  test('400 pipelined GETs are all answered, in order, to a client that reads', async () => {
    let asked = 0;
    const edge = await startEdge({ pull: () => Promise.resolve(wholeReply(scriptedContent(Buffer.from(`<${asked++}>`)))) });
    const socket = await edge.connect();
    socket.write(request('GET', BLOB_PATH).repeat(400));
    const text = await readUntil(socket, (received) => received.includes('<399>'));
    const bodies = [...text.matchAll(/<(\d+)>/g)].map(([, number]) => Number(number));
    expect(bodies).toEqual(Array.from({ length: 400 }, (_, index) => index));
  });

  test('a reader that reads slowly is not cut', async () => {
    const edge = await startEdge({ pull: pullOf(wholeReply(scriptedContent(pattern(64 * 1024 * 1024)))) });
    const socket = await edge.connect();
    socket.write(request('GET', BLOB_PATH));
    for (let look = 0; look < 8; look++) {
      await takeSome(socket, 4 * 1024 * 1024);
      await edge.clock.advance(STALL_MS / 2);
    }
    expect(socket.destroyed).toBe(false);
    expect(edge.records()).toEqual([]);
  });

  test('clients that leave close their readers, also while a read hangs', async () => {
    const never = gate();
    const content = scriptedContent(pattern(100_000), { chunkMax: 1000, gate: (nth) => (nth > 1 ? never.opened : undefined) });
    const edge = await startEdge({ pull: pullOf(wholeReply(content)) });
    const sockets = await Promise.all(Array.from({ length: 20 }, () => edge.connect()));
    for (const socket of sockets) {
      socket.write(request('GET', BLOB_PATH));
      await readUntil(socket, (received) => received.includes('\r\n\r\n')).then(() => socket.destroy());
    }
    await edge.ended(20);
    await settled(() => content.counts.closed);
    expect(content.counts.closed).toBe(content.counts.opened);
    expect(edge.records().every(({ aborted }) => aborted)).toBe(true);
    expect(edge.faults()).toEqual([]);
    expect(edge.buffers.lentBytes()).toBe(0);
  });

  test('a client that leaves during the pull aborts its signal and is recorded once, with 499', async () => {
    const aborted = gate();
    const edge = await startEdge({
      pull: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted.open();
            reject(signal.reason as Error);
          });
        }),
    });
    const socket = await edge.connect();
    socket.write(request('GET', BLOB_PATH), () => socket.destroy());
    await aborted.opened;
    await edge.ended(1);
    expect(edge.records()).toMatchObject([{ status: 499, aborted: true, firstByteMs: undefined }]);
    expect(edge.faults()).toEqual([]);
  });
});

describe('[R54] HEAD', () => {
  test('1,000 of them open nothing', async () => {
    const content = scriptedContent(pattern(1000));
    const edge = await startEdge({ pull: pullOf(wholeReply(content)) });
    const socket = await edge.connect();
    socket.write(request('HEAD', BLOB_PATH).repeat(1000));
    const text = await readUntil(
      socket,
      (received) => received.split('HTTP/1.1 200').length === 1001 && received.endsWith('\r\n\r\n'),
    );
    expect(content.counts.opened).toBe(0);
    expect(text.match(/content-length: 1000\r\n/gi)).toHaveLength(1000);
  });
});

/** Reads so many bytes, or a little more, and then no further. */
async function takeSome(socket: Socket, bytes: number): Promise<void> {
  let taken = 0;
  await new Promise<void>((resolve) => {
    const onData = (chunk: Buffer): void => {
      taken += chunk.byteLength;
      if (taken < bytes) return;
      socket.pause();
      socket.off('data', onData);
      resolve();
    };
    socket.on('data', onData);
    socket.resume();
  });
}

/** Resolves when the value has stayed the same over many turns of the event loop. */
async function settled(value: () => number): Promise<void> {
  let last = Number.NaN;
  for (let quiet = 0; quiet < 200; quiet++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    const now = value();
    if (now !== last) quiet = 0;
    last = now;
  }
}
