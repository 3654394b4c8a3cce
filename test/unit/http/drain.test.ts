import { describe, expect, test } from 'vitest';
import { BLOB_PATH, collect, readUntil, request, startEdge, type Edge } from './edge.ts';
import { pullOf, scriptedContent, wholeReply } from './scripted-content.ts';

const DRAIN_MS = 25_000;

/** A download of 100,000 bytes that stands still after its first 1000 until it is let go. */
async function startSlow(): Promise<{ readonly edge: Edge; release(): void }> {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const content = scriptedContent(Buffer.alloc(100_000, 'b'), { chunkMax: 1000, gate: (nth) => (nth > 1 ? gate : undefined) });
  return { edge: await startEdge({ pull: pullOf(wholeReply(content)) }), release };
}

describe('[R60] drain', () => {
  test('lets running downloads end, closes behind them, and lets nobody in', async () => {
    const { edge, release } = await startSlow();
    const sockets = await Promise.all(Array.from({ length: 10 }, () => edge.connect()));
    const bodies = sockets.map((socket) => collect(socket));
    for (const socket of sockets) socket.write(request('GET', BLOB_PATH));
    await Promise.all(sockets.map((socket) => readUntil(socket, (text) => text.includes('\r\n\r\n'))));
    const drained = edge.listener.drain(DRAIN_MS);
    await expect(edge.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    release();
    await drained;
    for (const text of await Promise.all(bodies)) expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toHaveLength(100_000);
    expect(edge.records().every(({ aborted }) => !aborted)).toBe(true);
    expect(edge.listener.connections()).toBe(0);
  });

  test('closes idle and silent connections at once', async () => {
    const edge = await startEdge();
    const idle = await edge.connect();
    idle.write(request('GET', '/v2/'));
    await readUntil(idle, (text) => text.endsWith('{}'));
    const silent = await edge.connect();
    await reached(() => edge.listener.connections() === 2);
    const closed = Promise.all([collect(idle), collect(silent)]);
    await edge.listener.drain(DRAIN_MS);
    await closed;
    expect(edge.listener.connections()).toBe(0);
  });

  test('says Connection: close on answers that begin after it did', async () => {
    let release: () => void = () => undefined;
    const asked: (() => void)[] = [];
    const gate = new Promise<void>((resolve) => (release = resolve));
    const edge = await startEdge({
      pull: async () => {
        for (const heard of asked) heard();
        await gate;
        return wholeReply(scriptedContent(Buffer.from('late')));
      },
    });
    const socket = await edge.connect();
    const body = collect(socket);
    const heard = new Promise<void>((resolve) => asked.push(resolve));
    socket.write(request('GET', BLOB_PATH));
    await heard;
    const drained = edge.listener.drain(DRAIN_MS);
    release();
    await drained;
    expect(await body).toMatch(/connection: close\r\n[\s\S]*late$/i);
  });

  test('cuts at its deadline what still runs', async () => {
    const { edge } = await startSlow();
    const socket = await edge.connect();
    const body = collect(socket);
    socket.write(request('GET', BLOB_PATH));
    await readUntil(socket, (text) => text.includes('\r\n\r\n'));
    const drained = edge.listener.drain(DRAIN_MS);
    await edge.clock.advance(DRAIN_MS - 1);
    expect(edge.listener.connections()).toBe(1);
    await edge.clock.advance(1);
    await drained;
    const text = await body;
    expect(text.slice(text.indexOf('\r\n\r\n') + 4).length).toBeLessThan(100_000);
    expect(edge.records()).toMatchObject([{ aborted: true }]);
  });

  test('called again with 0 ends now', async () => {
    const { edge } = await startSlow();
    const socket = await edge.connect();
    socket.write(request('GET', BLOB_PATH));
    await readUntil(socket, (text) => text.includes('\r\n\r\n'));
    const first = edge.listener.drain(DRAIN_MS);
    await edge.listener.drain(0);
    await first;
    expect(edge.listener.connections()).toBe(0);
  });
});

/** Turns the event loop until it is so. */
async function reached(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}
