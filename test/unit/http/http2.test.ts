import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { BodyCut } from '../../../src/push/body.ts';
import type { Push } from '../../../src/push/push.ts';
import { BLOB_PATH, jsonReply, STALL_MS } from './edge.ts';
import { DATA, frame, HEADERS, headersOf, rawSession, RST_STREAM } from './raw-http2.ts';
import { pullOf, scriptedContent, wholeReply } from './scripted-content.ts';
import { startSecureEdge, type SecureEdge, type SecureOptions } from './secure-edge.ts';

const start = (options: SecureOptions = {}): Promise<SecureEdge> => startSecureEdge({ http2: true, ...options });

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly bytes: Buffer;
  /** How the stream ended: 0 is clean. */
  readonly code: number;
}

/** Sends a request and yields what became of it, cut or whole. */
function ask(session: ClientHttp2Session, path: string, headers: OutgoingHttpHeaders = {}, body?: Uint8Array): Promise<Answer> {
  const stream = session.request({ ':path': path, ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let answered: Record<string, unknown> = {};
    stream.on('response', (headers) => (answered = headers));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () =>
      resolve({
        status: answered[':status'] as number | undefined,
        headers: answered,
        bytes: Buffer.concat(chunks),
        code: stream.rstCode ?? -1,
      }),
    );
  });
}

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

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

const UPLOAD = '/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000';
const ACCEPTED = { status: 202, headers: { 'content-length': '0' }, body: { kind: 'none' } } as const;

/** Reads the whole body, and says how it ended. */
function reading(): { readonly push: Push; readonly outcomes: string[] } {
  const outcomes: string[] = [];
  return {
    outcomes,
    push: async ({ body }) => {
      let size = 0;
      try {
        for (let piece = await body.next(); piece !== undefined; piece = await body.next()) size += piece.byteLength;
        outcomes.push(`${size} of ${body.length}`);
      } catch (error) {
        outcomes.push(error instanceof BodyCut ? 'cut' : String(error));
      }
      return ACCEPTED;
    },
  };
}

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

describe('[S25] floods', () => {
  test('CVE-2023-44487: streams that are opened and reset end their connection, and nobody else waits', async () => {
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
    ['CVE-2019-9512: pings', frame(0x6, 0, 0, Buffer.alloc(8))],
    ['CVE-2019-9515: settings', frame(0x4, 0, 0, Buffer.of(0, 4, 0, 1, 0, 0))],
    ['CVE-2019-9518: empty frames', undefined],
    ['CVE-2024-27316: CONTINUATION without an end', undefined],
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

/** Turns the event loop until it is so; throws when that takes many more turns than it should. */
async function reached(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !condition(); turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  if (!condition()) throw new Error(`it never came to be: ${condition}`);
}
