import { createServer as createRawServer, type AddressInfo, type Socket } from 'node:net';

import { describe, expect, test } from 'vitest';

import { createBody, type BodyFeed } from '../../../src/upstream/body.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import {
  answer,
  atEnd,
  expectFound,
  layer,
  never,
  readAll,
  sendBlob,
  sendManifest,
  serve,
  upstreamOf,
  wantBlob,
  wantManifest,
} from './servers.ts';

/** undici's side of a body. */
function controller() {
  return {
    paused: false,
    aborted: undefined as Error | undefined,
    pause() {
      this.paused = true;
    },
    resume() {
      this.paused = false;
    },
    abort(reason: Error) {
      this.aborted = reason;
    },
  };
}

/** What the work fails with, caught at once: it may fail while the test does something else. */
async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => 'it did not fail',
    (error: unknown) => error,
  );
}

const LIMITS = { stallMs: 15_000, rateBytesPerSecond: 16 * 1024, rateWindowMs: 60_000 };

function bodyOf(clock = createFakeClock()) {
  const undici = controller();
  let ended = 0;
  const body = createBody(undici as never, clock, LIMITS, () => ended++);
  return { body, undici, clock, ended: () => ended };
}

describe('[R10] a body that does not come', () => {
  test('no byte for the limit: stalled, and the transfer is ended', async () => {
    const { body, undici, clock, ended } = bodyOf();
    const reading = failureOf(body.read());
    await clock.advance(14_999);
    expect(undici.aborted).toBeUndefined();
    await clock.advance(1);
    expect(await reading).toMatchObject({ name: 'Stalled' });
    expect(undici.aborted).toMatchObject({ name: 'Stalled' });
    expect([ended(), clock.pending()]).toEqual([1, 0]);
  });

  test('a drip of one byte per 200 ms is stalled after a minute', async () => {
    const { body, clock } = bodyOf();
    let bytes = 0;
    const failed = (async () => {
      for (;;) bytes += (await body.read())?.byteLength ?? 0;
    })().catch((error: Error) => error.name);
    for (let ms = 0; ms < 61_000; ms += 200) {
      await clock.advance(200);
      body.push(Buffer.from('x'));
    }
    expect(await failed).toBe('Stalled');
    expect(bytes).toBeGreaterThanOrEqual(298);
    expect(bytes).toBeLessThanOrEqual(301);
  });

  test('a body above the least rate goes on for as long as it likes', async () => {
    const { body, clock } = bodyOf();
    let bytes = 0;
    void (async () => {
      for (;;) bytes += (await body.read())?.byteLength ?? 0;
    })();
    for (let second = 0; second < 300; second++) {
      await clock.advance(1000);
      body.push(Buffer.alloc(17 * 1024));
    }
    await clock.advance(0);
    expect(bytes).toBe(300 * 17 * 1024);
  });

  test('a slow reader is not a slow upstream', async () => {
    const { body, clock } = bodyOf();
    for (let turn = 0; turn < 10; turn++) {
      body.push(Buffer.from('x'));
      await clock.advance(20_000);
      expect((await body.read())?.byteLength).toBe(1);
    }
    expect(clock.pending()).toBe(0);
  });
});

describe('a body', () => {
  test('is paused while 256 KiB wait unread, and resumed by its reader', async () => {
    const { body, undici } = bodyOf();
    for (let turn = 0; turn < 5; turn++) body.push(Buffer.alloc(64 * 1024));
    expect(undici.paused).toBe(true);
    await body.read();
    expect(undici.paused).toBe(false);
  });

  /** Brings so much that its reader is seen to be quick, and yields how many KiB wait unread before it is paused then. */
  async function quicken({ body, undici }: ReturnType<typeof bodyOf>): Promise<number> {
    body.push(Buffer.alloc(1024 * 1024));
    for (let read = 0; read < 448 * 1024;) read += (await body.read())!.byteLength;
    let unread = 448;
    for (; !undici.paused; unread += 64) body.push(Buffer.alloc(64 * 1024));
    return unread;
  }

  test('is paused while 1 MiB waits unread of a reader that is quick, and as ever once it comes back later than in 20 ms', async () => {
    const one = bodyOf();
    expect(await quicken(one)).toBe(1024 + 64);
    await one.clock.advance(20);
    await one.body.read();
    expect(one.undici.paused).toBe(false);
    for (let turn = 0; turn < 2; turn += 1) {
      await one.clock.advance(21);
      await one.body.read();
    }
    for (; !one.undici.paused;) one.body.push(Buffer.alloc(64 * 1024));
    let unread = 0;
    one.body.end();
    for (let bytes = await one.body.read(); bytes !== undefined; bytes = await one.body.read()) unread += bytes.byteLength;
    expect(unread / 1024).toBeLessThanOrEqual(256 + 64);
  });

  const ends: Readonly<Record<string, (body: BodyFeed) => Promise<unknown>>> = {
    'read to its end': async (body) => {
      body.end();
      while ((await body.read()) !== undefined);
    },
    'whose end was waited for': async (body) => {
      const whole = (async () => {
        while ((await body.read()) !== undefined);
      })();
      await new Promise<void>((resolve) => setImmediate(resolve));
      body.end();
      await whole;
    },
    'that broke': async (body) => {
      body.fail(new Error('reset'));
      await failureOf(
        (async () => {
          for (;;) await body.read();
        })(),
      );
    },
    'that was closed': async (body) => body.close(),
    'that nobody wanted any more': async (body) => body.discard(),
  };

  test.each(Object.entries(ends))('gives back what it had for being quick: one %s', async (_, end) => {
    for (let time = 0; time < 20; time += 1) {
      const one = bodyOf();
      expect(await quicken(one), `body ${time + 1}`).toBe(1024 + 64);
      await end(one.body);
    }
  });

  test('keeps what came before it broke, then throws', async () => {
    const { body } = bodyOf();
    body.push(Buffer.from('abc'));
    body.fail(new Error('reset'));
    expect(String(await body.read())).toBe('abc');
    await expect(body.read()).rejects.toThrow('reset');
    body.close();
  });

  test('that nobody wants may end by itself, if it is short and quick', async () => {
    const short = bodyOf();
    short.body.discard();
    short.body.push(Buffer.alloc(60 * 1024));
    short.body.end();
    expect([short.undici.aborted, short.clock.pending(), short.ended()]).toEqual([undefined, 0, 1]);
    const long = bodyOf();
    long.body.discard();
    long.body.push(Buffer.alloc(65 * 1024));
    expect(long.undici.aborted).toBeDefined();
    const slow = bodyOf();
    slow.body.discard();
    await slow.clock.advance(1000);
    expect(slow.undici.aborted).toBeDefined();
  });
});

/** Writes what it likes to each request, byte by byte. */
async function raw(onRequest: (socket: Socket, request: string, count: number) => void) {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => onRequest(socket, chunk.toString(), ++count));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), sockets, requests: () => count };
}

describe('connections', () => {
  test.each(['end', 'destroy', 'resetAndDestroy'] as const)(
    '[P68] a body cut by %s is cut, with what came before',
    async (how) => {
      const server = await raw((socket) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', () => socket[how]());
      });
      const upstream = upstreamOf(server);
      const { body } = expectFound(await upstream.ask(wantBlob(), never));
      const read = async (): Promise<string> => {
        let text = '';
        for (let chunk = await body!.read(); chunk !== undefined; chunk = await body!.read())
          text += Buffer.from(chunk).toString();
        return text;
      };
      await expect(read()).rejects.toMatchObject({ name: 'UpstreamError', reason: 'cut', timeout: false });
      expect(upstream.status().running).toBe(0);
      expect(upstream.events.map(({ kind }) => kind)).toContain('upstream-error');
    },
  );

  test('a black hole is a headers timeout; a body that stops is a stall', async () => {
    const clock = createFakeClock();
    let heard = (): void => undefined;
    const asked = new Promise<void>((resolve) => (heard = resolve));
    const server = await raw((socket, request) => {
      if (request.includes('/blobs/')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf');
      else heard();
    });
    const upstream = upstreamOf(server, {}, { clock });
    const hole = failureOf(upstream.ask(wantManifest(), never));
    await asked;
    await clock.advance(10_000);
    expect(await hole).toMatchObject({ reason: 'headers', timeout: true });
    const { body } = expectFound(await upstream.ask(wantBlob(), never));
    await body!.read();
    const stopped = failureOf(body!.read());
    await clock.advance(15_000);
    expect(await stopped).toMatchObject({ reason: 'stall', timeout: true });
    expect(clock.pending()).toBe(0);
    await expect.poll(() => server.sockets.size).toBe(0);
  });

  test('[R52] a kept connection that died is tried once more on a new one', async () => {
    const server = await raw((socket, _request, count) => {
      if (count === 2) return void socket.destroy();
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${layer.byteLength}\r\n\r\n${layer.toString()}`);
    });
    const upstream = upstreamOf(server);
    await readAll(await upstream.ask(wantBlob(), never));
    // The connection is free again once undici has looked at it.
    await new Promise((resolve) => setImmediate(resolve));
    expect(await readAll(await upstream.ask(wantBlob(), never))).toBe(layer.toString());
    expect(server.requests()).toBe(3);
  });

  test('a fresh connection that dies is not tried again', async () => {
    const server = await raw((socket) => socket.destroy());
    await expect(upstreamOf(server).ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'cut' });
    expect(server.requests()).toBe(1);
  });

  test('[S17] [GHSA-35p6-xmwp-9g52] [CVE-2026-48931] a second answer that nobody asked for reaches nobody', async () => {
    let poisoned = (): void => undefined;
    const written = new Promise<void>((resolve) => (poisoned = resolve));
    const server = await raw((socket, _request, count) => {
      const good = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood';
      socket.write(good, () => {
        if (count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil', () => poisoned());
      });
    });
    const upstream = upstreamOf(server);
    expect(await readAll(await upstream.ask(wantBlob(), never))).toBe('good');
    await written;
    await new Promise((resolve) => setImmediate(resolve));
    expect(await readAll(await upstream.ask(wantManifest({ repository: 'other' }), never))).toBe('good');
  });

  test('[R16] a thousand answers, read, left or aborted, leave no connection busy and no timer', async () => {
    const clock = createFakeClock();
    const big = Buffer.alloc(300_000, 'x');
    const server = await serve((request, response) =>
      request.url?.includes('/blobs/') ? sendBlob(request, response, big) : sendManifest(response),
    );
    const upstream = upstreamOf(server, {}, { clock });
    const one = async (index: number): Promise<void> => {
      const abort = new AbortController();
      const asked = upstream.ask(
        index % 2 === 0 ? wantBlob() : wantManifest({ method: index % 4 === 1 ? 'HEAD' : 'GET' }),
        abort.signal,
      );
      if (index % 5 === 0) abort.abort(new Error('left'));
      const found = await asked.catch(() => undefined);
      if (found?.kind !== 'found') return;
      if (index % 3 === 0) await found.body?.read();
      if (index % 7 === 0) abort.abort(new Error('left'));
      else found.body?.close();
    };
    for (let batch = 0; batch < 10; batch++) await Promise.all(Array.from({ length: 100 }, (_, index) => one(index)));
    expect(upstream.status().running).toBe(0);
    await expect.poll(() => clock.pending()).toBeLessThanOrEqual(1);
    await clock.advance(20_000);
    expect(clock.pending()).toBe(0);
    expect(await readAll(await upstream.ask(wantBlob(), never))).toHaveLength(300_000);
  });

  test('an abort while waiting, and one while reading, end with their own reason', async () => {
    const server = await serve((request, response) => {
      if (request.url?.includes('/manifests/')) return;
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
    });
    const upstream = upstreamOf(server);
    const first = new AbortController();
    const waiting = upstream.ask(wantManifest(), first.signal);
    first.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    const second = new AbortController();
    const { body } = expectFound(await upstream.ask(wantBlob(), second.signal));
    await body!.read();
    const reading = body!.read();
    second.abort(new Error('gone too'));
    await expect(reading).rejects.toThrow('gone too');
    expect(upstream.events.filter(({ kind }) => kind === 'upstream-error')).toEqual([]);
    await expect.poll(() => server.sockets.size).toBe(0);
  });

  test('a body that its reader closes while it waits is no failure of the upstream', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
    });
    const upstream = upstreamOf(server);
    const { body } = expectFound(await upstream.ask(wantBlob(), never));
    await body!.read();
    const reading = failureOf(body!.read());
    body!.close();
    expect(await reading).toMatchObject({ name: 'UpstreamError' });
    expect(upstream.events.map(({ kind }) => kind)).toEqual(['upstream-request', 'upstream-bytes']);
    expect(upstream.status().running).toBe(0);
  });

  test('bytes are reported, and each exchange', async () => {
    const server = await serve((request, response) => sendBlob(request, response));
    const upstream = upstreamOf(server);
    await readAll(await upstream.ask(wantBlob(), never));
    expect(upstream.events).toMatchObject([
      { kind: 'upstream-request', upstream: 'hub', what: 'blob', status: 200 },
      { kind: 'upstream-bytes', upstream: 'hub', what: 'blob', bytes: layer.byteLength },
    ]);
    expect(upstream.status().latencyMs).toBeGreaterThan(0);
  });

  test('[R15] a dead address first: the next one is tried', async () => {
    const server = await serve((_request, response) => answer(response, 200, {}, layer));
    const url = new URL(`http://registry.test:${server.url.port}`);
    const resolve = async () => [
      { address: '::1', family: 6 as const },
      { address: '127.0.0.1', family: 4 as const },
    ];
    expect(await readAll(await upstreamOf({ url }, {}, { resolve, clock: systemClock }).ask(wantBlob(), never))).toBe(
      layer.toString(),
    );
  });

  test('nobody there is connect; no such name is dns; a resolver that hangs is a connect timeout', async () => {
    const gone = await serve(() => undefined);
    await gone.close();
    await expect(upstreamOf(gone).ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'connect', timeout: false });
    const url = new URL('http://nowhere.test');
    const unknown = async () =>
      await Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.test'), { code: 'ENOTFOUND' }));
    await expect(upstreamOf({ url }, {}, { resolve: unknown }).ask(wantBlob(), never)).rejects.toMatchObject({ reason: 'dns' });
    const clock = createFakeClock();
    let asked = (): void => undefined;
    const heard = new Promise<void>((resolve) => (asked = resolve));
    const hanging = upstreamOf({ url }, {}, { clock, resolve: () => new Promise(() => asked()) });
    const failed = failureOf(hanging.ask(wantBlob(), never));
    await heard;
    await clock.advance(3000);
    expect(await failed).toMatchObject({ reason: 'connect', timeout: true });
  });
});
