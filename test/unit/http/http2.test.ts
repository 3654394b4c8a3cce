import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants, type OutgoingHttpHeaders } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { BLOB_PATH, jsonReply, STALL_MS } from './edge.ts';
import { answerOf, ask, reached, reading, sha, start, UPLOAD } from './http2-client.ts';
import { DATA, frame, HEADERS, headersOf, rawSession, RST_STREAM } from './raw-http2.ts';
import { pullOf, scriptedContent, wholeReply } from './scripted-content.ts';

describe('HTTP/2', () => {
  test('answers as HTTP/1.1 does, without the fields of a connection', async () => {
    const edge = await start();
    const { status, headers, bytes, code } = await ask(edge.session(), '/v2/');
    expect([status, bytes.toString(), code]).toEqual([200, '{}', 0]);
    expect(headers).toMatchObject({ 'docker-distribution-api-version': 'registry/2.0', 'content-length': '2' });
    expect(Object.keys(headers)).not.toContain('connection');
    await edge.ended(1);
    expect(edge.records()).toMatchObject([{ status: 200, aborted: false, bytes: 2, client: '127.0.0.1' }]);
  });

  test('HEAD has no body and ends', async () => {
    const edge = await start({ pull: pullOf(wholeReply(scriptedContent(Buffer.alloc(100)))) });
    const { status, headers, bytes, code } = await ask(edge.session(), BLOB_PATH, { ':method': 'HEAD' });
    expect([status, headers['content-length'], bytes.byteLength, code]).toEqual([200, '100', 0, 0]);
    await edge.ended(1);
    expect(edge.records()).toMatchObject([{ aborted: false }]);
  });

  test('a blob of many buffers arrives as it is, on many streams at once', async () => {
    const bytes = randomBytes(12 * 1024 * 1024);
    const edge = await start({ pull: pullOf(wholeReply(scriptedContent(bytes))), buffersMax: 4 * 1024 * 1024 });
    const session = edge.session();
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(session, BLOB_PATH)));
    for (const one of answers) expect([one.code, sha(one.bytes)]).toEqual([0, sha(bytes)]);
    expect(edge.buffers.bytes()).toBeGreaterThan(0);
  });

  test('a thousand streams on one connection, no more than a hundred at once', async () => {
    let now = 0;
    let most = 0;
    const edge = await start({
      pull: async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now -= 1;
        return wholeReply(scriptedContent(Buffer.alloc(1000, 'x')));
      },
    });
    const session = edge.session();
    const answers = await Promise.all(Array.from({ length: 1000 }, () => ask(session, BLOB_PATH)));
    expect(answers.every(({ code, bytes }) => code === 0 && bytes.byteLength === 1000)).toBe(true);
    expect(most).toBeLessThanOrEqual(100);
    expect(edge.listener.connections()).toBe(1);
    // Each owned a buffer while it lasted.
    expect(edge.listener.buffersBytes()).toBe(0);
  });

  test('a body that waits for its client keeps no other from its own', async () => {
    const large = randomBytes(4 * 1024 * 1024);
    const edge = await start({ pull: pullOf(wholeReply(scriptedContent(large))) });
    const session = edge.session();
    const waiting = session.request({ ':path': BLOB_PATH });
    await once(waiting, 'response');
    for (let i = 0; i < 5; i += 1) expect((await ask(session, BLOB_PATH)).bytes.byteLength).toBe(large.byteLength);
    expect(sha((await answerOf(waiting)).bytes)).toBe(sha(large));
  });
});

describe('[S18] half an answer never ends like a whole one', () => {
  test('content that fails is a reset', async () => {
    const content = scriptedContent(Buffer.alloc(100_000), { failAt: 3, chunkMax: 10_000 });
    const edge = await start({ pull: pullOf(wholeReply(content)) });
    const session = edge.session();
    const { status, bytes, code } = await ask(session, BLOB_PATH);
    expect([status, code]).toEqual([200, constants.NGHTTP2_INTERNAL_ERROR]);
    expect(bytes.byteLength).toBeLessThan(100_000);
    await edge.ended(1);
    expect(edge.records()).toMatchObject([{ aborted: true, status: 200 }]);
    // And of its own stream alone.
    expect((await ask(session, '/v2/')).status).toBe(200);
  });

  test('neither where no length was promised, which alone would tell', async () => {
    for (const failAt of [1, 2, 3]) {
      const content = scriptedContent(Buffer.alloc(100_000), { failAt, chunkMax: 10_000 });
      const edge = await start({ pull: pullOf(wholeReply(content, null)) });
      const { status, code } = await ask(edge.session(), BLOB_PATH);
      expect([status, code]).toEqual(failAt === 1 ? [500, 0] : [200, constants.NGHTTP2_INTERNAL_ERROR]);
    }
  });

  test.each([2, 4])('bytes that are not as many as was promised: %d', async (promised) => {
    const reply = jsonReply([]);
    const headers = { ...reply.headers, 'content-length': String(promised * 10) };
    const body = { kind: 'bytes', bytes: Buffer.alloc(30) } as const;
    const edge = await start({ pull: pullOf({ ...reply, headers, body }) });
    const { code } = await ask(edge.session(), BLOB_PATH);
    expect(code).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    await edge.ended(1);
    expect(edge.records()).toMatchObject([{ aborted: true }]);
  });

  test('a client that resets its stream ends what runs for it, and is recorded as gone', async () => {
    const content = scriptedContent(Buffer.alloc(8_000_000));
    const edge = await start({ pull: pullOf(wholeReply(content)) });
    const stream = edge.session().request({ ':path': BLOB_PATH });
    stream.on('error', () => undefined);
    await once(stream, 'response');
    stream.close(constants.NGHTTP2_CANCEL);
    await edge.ended(1);
    expect(edge.records()).toMatchObject([{ aborted: true }]);
    await reached(() => content.counts.closed === 1);
    expect(edge.faults()).toEqual([]);
  });

  test('a client that resets its stream while the end waits for it, too', async () => {
    const bytes = Buffer.alloc(300_000);
    const headers = { 'content-length': '300000' };
    const edge = await start({ pull: pullOf({ status: 200, headers, body: { kind: 'bytes', bytes } }) });
    const stream = edge.session().request({ ':path': BLOB_PATH });
    stream.on('error', () => undefined);
    await once(stream, 'response');
    stream.close(constants.NGHTTP2_CANCEL);
    await edge.ended(1);
    expect(edge.records()).toMatchObject([{ aborted: true, bytes: 0 }]);
  });

  test('[S24] one that takes nothing is cut after the stall time, and the others go on', async () => {
    const edge = await start({ pull: pullOf(wholeReply(scriptedContent(Buffer.alloc(4_000_000)))) });
    const session = edge.session();
    const stuck = session.request({ ':path': BLOB_PATH });
    const closed = new Promise((resolve) => stuck.on('error', () => undefined).on('close', () => resolve(stuck.rstCode)));
    await once(stuck, 'response');
    for (let quarter = 0; quarter < 5; quarter += 1) {
      expect((await ask(session, '/v2/')).status).toBe(200);
      await edge.clock.advance(STALL_MS / 4);
    }
    expect(await closed).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect((await ask(session, '/v2/')).status).toBe(200);
  });
});

describe('a body that is sent', () => {
  test.each([
    ['with its length', { 'content-length': '3000000' }, '3000000 of 3000000'],
    ['without', {}, '3000000 of undefined'],
    ['asked for first', { expect: '100-continue' }, '3000000 of undefined'],
  ])('%s', async (_, headers, outcome) => {
    const { push, outcomes } = reading();
    const edge = await start({ app: { push } });
    const answer = await ask(edge.session(), UPLOAD, { ':method': 'PATCH', ...headers }, Buffer.alloc(3_000_000));
    expect([answer.status, answer.code, outcomes]).toEqual([202, 0, [outcome]]);
  });

  test.each([constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR])('and reset with code %d is no end', async (code) => {
    const { push, outcomes } = reading();
    const edge = await start({ app: { push } });
    // By hand: Node's client ends what it resets.
    const raw = await rawSession(edge);
    raw.send(frame(HEADERS, 0x4, 1, headersOf(UPLOAD, 'x', 'PATCH')));
    raw.send(frame(DATA, 0, 1, Buffer.alloc(1000)));
    raw.send(frame(RST_STREAM, 0, 1, Buffer.of(0, 0, 0, code)));
    await edge.ended(1);
    await reached(() => outcomes.length > 0);
    expect(outcomes).toEqual(['cut']);
  });

  test('and not wanted: the answer comes, then the stream ends without an error', async () => {
    const edge = await start();
    const stream = edge.session().request({ ':path': UPLOAD, ':method': 'PATCH' }, { endStream: false });
    const answered = answerOf(stream);
    stream.write(Buffer.alloc(4 * 1024 * 1024));
    const { status, code } = await answered;
    expect([status, code]).toEqual([405, constants.NGHTTP2_NO_ERROR]);
  });
});

describe('[S19] one request is read in one way', () => {
  const hosts = async (headers: OutgoingHttpHeaders): Promise<unknown> => {
    let seen: string | undefined;
    const edge = await start({
      app: { clientText: (_, url) => ((seen = url), 'text') },
    });
    const session = edge.session();
    const { status } = await ask(session, '/client/docker', headers);
    return [status, seen];
  };

  test(':authority is the Host', async () => {
    expect(await hosts({ ':authority': 'mirror.test' })).toEqual([200, 'https://mirror.test']);
    expect(await hosts({ ':authority': 'mirror.test', host: 'mirror.test' })).toEqual([200, 'https://mirror.test']);
  });

  test('a Host that says otherwise is refused, and so is none at all', async () => {
    expect(await hosts({ ':authority': 'mirror.test', host: 'other.test' })).toEqual([400, undefined]);
    const edge = await start();
    const raw = await rawSession(edge);
    raw.send(frame(HEADERS, 0x5, 1, headersOf('/v2/', undefined)));
    expect(await raw.reset()).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
  });

  test.each([
    ['CONNECT', { ':method': 'CONNECT', ':authority': 'x:1' }],
    ['an asterisk', { ':path': '*', ':method': 'OPTIONS' }],
  ])('%s is refused', async (_, headers) => {
    const edge = await start();
    const { status, code } = await answerOf(edge.session().request(headers, { endStream: true }));
    expect(status ?? code).toBeGreaterThan(0);
    expect(status ?? 400).toBeGreaterThanOrEqual(400);
    expect(edge.faults()).toEqual([]);
  });
});
