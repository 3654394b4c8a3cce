import { once } from 'node:events';
import { constants } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { createDice } from '../../fakes/dice.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { BLOB_PATH } from './edge.ts';
import { answerOf, ask, reached, reading, start, UPLOAD } from './http2-client.ts';
import { frame, HEADERS, headersOf, rawSession, RST_STREAM } from './raw-http2.ts';
import { pullOf, scriptedContent, wholeReply } from './scripted-content.ts';

describe('[S25] floods', () => {
  test('[CVE-2023-44487] streams that are opened and reset end their connection, and nobody else waits', async () => {
    let asked = 0;
    const edge = await start({
      pull: ({ signal }) => {
        asked += 1;
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('gone'))));
      },
    });
    const other = edge.session();
    expect((await ask(other, '/v2/')).status).toBe(200);
    const raw = await rawSession(edge);
    for (let id = 1; id < 4000; id += 2) {
      raw.send(
        Buffer.concat([frame(HEADERS, 0x5, id, headersOf(BLOB_PATH, 'x')), frame(RST_STREAM, 0, id, Buffer.of(0, 0, 0, 8))]),
      );
      if (id % 100 === 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await raw.goaway()).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(asked).toBeLessThanOrEqual(501);
    expect(edge.events.filter(({ kind }) => kind === 'unreadable')).toMatchObject([{ reason: 'NGHTTP2_ENHANCE_YOUR_CALM' }]);
    expect((await ask(other, '/v2/')).status).toBe(200);
    await raw.closed();
    expect(edge.listener.buffersBytes()).toBe(0);
  });

  test.each([
    ['[CVE-2019-9512] pings', frame(0x6, 0, 0, Buffer.alloc(8))],
    ['[CVE-2019-9515] settings', frame(0x4, 0, 0, Buffer.of(0, 4, 0, 1, 0, 0))],
    ['[CVE-2019-9518] empty frames', undefined],
    ['[CVE-2024-27316] CONTINUATION without an end', undefined],
  ])('%s', async (name, one) => {
    const edge = await start();
    const raw = await rawSession(edge);
    if (one === undefined) raw.send(frame(HEADERS, name.includes('empty') ? 0x4 : 0, 1, headersOf('/v2/', 'x', 'POST')));
    const repeated = one ?? (name.includes('empty') ? frame(0x0, 0, 1, Buffer.alloc(0)) : frame(0x9, 0, 1, Buffer.of(0x82)));
    const many = Buffer.concat(Array.from({ length: 100 }, () => repeated));
    for (let i = 0; i < 100 && !raw.socket.destroyed; i += 1) {
      raw.send(many);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await raw.closed();
    expect((await edge.fetch('/livez')).status).toBe(200);
  });

  test.each([
    ['one address', { connectionsPerAddressMax: 5 }],
    ['all of them', { connectionsMax: 5 }],
  ])('streams beyond what %s may have are refused, to be tried again', async (_, limits) => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const pull = async () => (await gate, wholeReply(scriptedContent(Buffer.alloc(10))));
    const edge = await start({ pull, limits });
    const sessions = [edge.session(), edge.session()];
    const asked = sessions.flatMap((session) => Array.from({ length: 3 }, () => ask(session, BLOB_PATH)));
    const first = await Promise.race(asked);
    expect([first.status, first.code]).toEqual([undefined, constants.NGHTTP2_REFUSED_STREAM]);
    release();
    const codes = (await Promise.all(asked)).map(({ code }) => code);
    expect(codes.filter((code) => code === 0)).toHaveLength(5);
  });

  test('[CVE-2026-21714] a window that is made too wide ends its connection, and nothing of that is kept', async () => {
    const edge = await start({ pull: () => new Promise(() => undefined) });
    const wide = frame(0x8, 0, 0, Buffer.of(0x7f, 0xff, 0xff, 0xff));
    for (let left = 20; left > 0; left--) {
      const raw = await rawSession(edge);
      raw.send(frame(HEADERS, 0x5, 1, headersOf(BLOB_PATH, 'x')));
      raw.send(Buffer.concat([wide, wide]));
      await raw.closed();
    }
    await expect.poll(() => edge.listener.connections()).toBe(0);
    expect(edge.listener.buffersBytes()).toBe(0);
  });

  test('whatever frames come, the next client is answered', async () => {
    const { push } = reading();
    const edge = await start({ app: { push }, pull: pullOf(wholeReply(scriptedContent(Buffer.alloc(300_000)))) });
    const dice = createDice(createSeededRandom(7));
    for (let round = 0; round < 60; round += 1) {
      const raw = await rawSession(edge);
      for (let count = 0; count < 30; count += 1) {
        const head = headersOf(dice.pick([BLOB_PATH, UPLOAD, '/v2/', '*', '']), 'x', dice.pick(['GET', 'PATCH', 'HEAD']));
        const junk = Buffer.from(dice.times(dice.between(0, 40), () => dice.between(0, 255)));
        raw.send(frame(dice.between(0, 11), dice.between(0, 63), dice.between(0, 11), dice.chance(0.7) ? head : junk));
      }
      raw.socket.destroySoon();
      await raw.closed();
    }
    expect((await ask(edge.session(), '/v2/')).status).toBe(200);
    expect(edge.faults()).toEqual([]);
    await edge.listener.drain(0);
    expect([edge.listener.connections(), edge.listener.buffersBytes()]).toEqual([0, 0]);
  });

  test('a connection that asks for nothing is closed, whatever pings come on it', async () => {
    const edge = await start({ limits: { headersTimeoutMs: 15_000, keepAliveTimeoutMs: 95_000 } });
    const fresh = await rawSession(edge);
    const used = edge.session();
    await ask(used, '/v2/');
    await edge.clock.advance(15_000);
    await fresh.closed();
    expect((await ask(used, '/v2/')).status).toBe(200);
    await edge.clock.advance(94_000);
    await new Promise((resolve) => used.ping(resolve));
    const closed = once(used, 'close');
    await edge.clock.advance(1000);
    await closed;
    await reached(() => edge.listener.connections() === 0);
  });

  test('one that does not even close is cut a moment later', async () => {
    const edge = await start();
    const silent = await rawSession(edge, { allowHalfOpen: true } as object);
    await edge.clock.advance(15_000);
    await silent.goaway();
    silent.socket.pause();
    expect(edge.listener.connections()).toBe(1);
    await edge.clock.advance(5000);
    await reached(() => edge.listener.connections() === 0);
  });
});

describe('[R60] drain', () => {
  test('says goodbye, lets streams end, and lets no other begin', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const content = scriptedContent(Buffer.alloc(100_000, 'b'), {
      chunkMax: 1000,
      gate: (nth) => (nth > 1 ? gate : undefined),
    });
    const edge = await start({ pull: pullOf(wholeReply(content)) });
    const [busy, idle] = [edge.session(), edge.session()];
    await ask(idle, '/v2/');
    const stream = busy.request({ ':path': BLOB_PATH });
    await once(stream, 'response');
    const answered = answerOf(stream);
    const goodbye = once(busy, 'goaway');
    const idleClosed = once(idle, 'close');
    const drained = edge.listener.drain(25_000);
    const [code] = (await goodbye) as [number];
    expect(code).toBe(constants.NGHTTP2_NO_ERROR);
    await idleClosed;
    // Some versions of Node throw at once, others reset the stream.
    const late = Promise.resolve().then(() => ask(busy, '/v2/'));
    expect(
      await late.then(
        ({ status }) => status,
        () => undefined,
      ),
    ).toBeUndefined();
    release();
    await drained;
    const { bytes, code: end } = await answered;
    expect([bytes.byteLength, end]).toEqual([100_000, 0]);
    expect(edge.records().every(({ aborted }) => !aborted)).toBe(true);
    expect(edge.listener.connections()).toBe(0);
  });

  test('cuts at its deadline what still runs, and that does not look whole', async () => {
    const content = scriptedContent(Buffer.alloc(100_000), {
      chunkMax: 1000,
      gate: (nth) => (nth > 1 ? new Promise(() => undefined) : undefined),
    });
    const edge = await start({ pull: pullOf(wholeReply(content)) });
    const stream = edge.session().request({ ':path': BLOB_PATH });
    await once(stream, 'response');
    const answered = answerOf(stream);
    const drained = edge.listener.drain(25_000);
    await edge.clock.advance(25_000);
    await drained;
    const { bytes, code } = await answered;
    expect(bytes.byteLength).toBeLessThan(100_000);
    expect(code).not.toBe(0);
    expect(edge.records()).toMatchObject([{ aborted: true }]);
  });

  test('does not wait for a client that leaves its side open', async () => {
    const edge = await start();
    const raw = await rawSession(edge, { allowHalfOpen: true } as object);
    const drained = edge.listener.drain(25_000);
    await raw.goaway();
    await edge.clock.advance(2000);
    await drained;
    expect(edge.listener.connections()).toBe(0);
  });
});
