import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createClientAddresses } from '../../../src/http/client-address.ts';
import { Connection } from '../../../src/http/connection.ts';
import type { HttpEvent, RequestEnded } from '../../../src/http/events.ts';
import type { Exchange } from '../../../src/http/exchange.ts';
import { createLimits, type RequestLimits } from '../../../src/http/limits.ts';
import { createStallWatch } from '../../../src/http/outlet.ts';
import { createRepeats } from '../../../src/http/repeats.ts';
import { createNameParser } from '../../../src/pull/name.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import { newTrace } from '../../../src/pull/trace.ts';
import { NOBODY } from '../../../src/auth/subject.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { BLOB_PATH, request, STALL_MS } from './edge.ts';

const TEXT = request('GET', BLOB_PATH);
const NO_LIMIT = { rate: undefined, concurrent: undefined };
const BYTES = Buffer.from('four');
const REPLY: Reply = { status: 200, headers: { 'content-length': '4', etag: '"x"' }, body: { kind: 'bytes', bytes: BYTES } };

/** A socket of which the test says when the kernel takes what was written. */
class Scripted extends EventEmitter {
  readonly remoteAddress: string = '192.0.2.7';
  destroyed = false;
  writableLength = 0;
  readonly #pieces: Buffer[] = [];
  takes = true;
  #done: ((error?: Error) => void) | undefined;

  /** As a socket has it: what the kernel has taken is its own, the rest is whatever stands there when it comes to be taken. */
  get written(): string[] {
    return this.#pieces.map((bytes) => bytes.toString('latin1'));
  }

  write(bytes: Buffer, done: (error?: Error) => void): void {
    this.#pieces.push(this.takes ? Buffer.from(bytes) : bytes);
    if (this.takes) return void queueMicrotask(done);
    this.writableLength = bytes.byteLength;
    this.#done = done;
  }

  take(): void {
    this.writableLength = 0;
    this.#done?.();
  }

  destroy(): void {
    this.destroyed = true;
    this.#done?.(new Error('destroyed'));
    this.emit('close');
  }
}

interface Options {
  readonly reply?: () => Reply | undefined;
  readonly trusted?: readonly string[];
  readonly address?: RequestLimits['address'];
  readonly certificate?: string;
  readonly exchange?: Partial<Exchange>;
  readonly rawHeaders?: readonly string[];
}

/** Something that was learnt, and a connection on which it comes again. */
function learnt(options: Options = {}) {
  const clock = createFakeClock();
  const events: HttpEvent[] = [];
  const soon: (() => void)[] = [];
  const addresses = createClientAddresses(options.trusted ?? []);
  const allowed = { address: options.address ?? NO_LIMIT, subject: NO_LIMIT };
  const repeats = createRepeats({
    clock,
    date: () => 'Sun, 22 Nov 2026 00:00:00 GMT',
    keepAliveSeconds: 95,
    report: (event) => void events.push(event),
    addresses,
    limits: createLimits(clock, () => allowed),
    stalls: createStallWatch(clock, STALL_MS),
    soon: (work) => void soon.push(work),
    newId: () => 'id-1',
    newTrace,
    parseName: createNameParser({
      default: 'docker.io',
      self: [],
      hosts: new Map(),
      prefixes: new Map(),
      aliases: new Map(),
      pathPrefix: '',
    }),
    ready: options.reply ?? (() => REPLY),
  });
  const rawHeaders = options.rawHeaders ?? ['Host', 'mirror.test'];
  const headers = Object.fromEntries(
    rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), rawHeaders[at + 1]]] : [])),
  );
  const exchange = {
    incoming: { rawHeaders, headers, httpVersion: '1.1' },
    outgoing: { statusCode: 200, shouldKeepAlive: true },
    method: 'GET',
    target: BLOB_PATH,
    path: BLOB_PATH,
    clientKind: 'other',
    userAgent: undefined,
    certificate: undefined,
    identity: NOBODY,
    handler: 'blob',
    whole: true,
    commonHeaders: { 'x-one': '1', 'x-request-id': 'id-0', 'x-two': ['a', 'b'] },
    ...options.exchange,
    trace: { ...newTrace('id-0'), outcome: 'hit', ...options.exchange?.trace },
  } as unknown as Exchange;
  repeats.learn(TEXT, exchange);
  const connect = () => {
    const socket = new Scripted();
    const connection = new Connection(socket as unknown as Socket, options.certificate);
    return { socket, connection, begin: () => repeats.answer(TEXT, socket as unknown as Socket, connection) };
  };
  const { socket, connection, begin } = connect();
  const turn = (): void => soon.splice(0).forEach((work) => work());
  const answer = (): boolean => {
    const answered = begin();
    turn();
    return answered;
  };
  const records = (): RequestEnded[] => events.filter((event) => event.kind === 'request');
  return { begin, turn, soon, answer, connect, socket, connection, clock, events, records };
}

describe('an answer that is given again', () => {
  test('is Node’s, in one piece, and told as any other', () => {
    const { answer, socket, connection, events } = learnt();
    expect(answer()).toBe(true);
    expect(socket.written).toEqual([
      [
        'HTTP/1.1 200 OK',
        'x-one: 1',
        'x-two: a',
        'x-two: b',
        'x-request-id: id-1',
        'content-length: 4',
        'etag: "x"',
        'Date: Sun, 22 Nov 2026 00:00:00 GMT',
        'Connection: keep-alive',
        'Keep-Alive: timeout=95',
        '',
        'four',
      ].join('\r\n'),
    ]);
    expect(events.map(({ kind }) => kind)).toEqual(['request started', 'request']);
    expect(events[1]).toMatchObject({ handler: 'blob', status: 200, bytes: 4, client: '192.0.2.7', aborted: false });
    expect((events[1] as RequestEnded).publicAddress()).toBe('http://mirror.test');
    expect(connection.live).toBe(0);
  });

  test('[S21] is none with a field that cannot be sent', () => {
    const { answer, socket, events } = learnt({ reply: () => ({ ...REPLY, headers: { 'content-type': 'a\r\nx: y' } }) });
    expect([answer(), socket.written, events]).toEqual([false, [], []]);
  });

  test.each([
    [{ 'x-two': 'c' }, ['x-one: 1', 'x-two: c', 'x-request-id: id-1']],
    [{ 'x-request-id': 'id-2' }, ['x-one: 1', 'x-two: a', 'x-two: b', 'x-request-id: id-2']],
  ])('says of equal fields what the single answer says', (headers, fields) => {
    const { answer, socket } = learnt({ reply: () => ({ ...REPLY, headers }) });
    answer();
    expect(socket.written[0]?.split('\r\n').filter((line) => line.startsWith('x-'))).toEqual(fields);
  });

  test('says what its headers say now, unless they are what they will ever be', () => {
    const headers: Record<string, string> = { etag: '"x"' };
    const { answer, socket } = learnt({ reply: () => ({ ...REPLY, headers }) });
    answer();
    headers['etag'] = '"y"';
    answer();
    Object.freeze(headers);
    answer();
    answer();
    expect(socket.written.map((text) => /etag: "(.)"/.exec(text)?.[1])).toEqual(['x', 'y', 'y', 'y']);
  });

  test('[S18] that is still on its way is not overwritten by the next', () => {
    const bodies = ['one', 'two', 'six'];
    const { begin, turn, connect, socket } = learnt({
      reply: () => ({ ...REPLY, body: { kind: 'bytes', bytes: Buffer.from(bodies.shift() ?? '') } }),
    });
    socket.takes = false;
    const others = [connect(), connect()];
    begin();
    for (const other of others) other.begin();
    turn();
    const said = [socket, ...others.map((other) => other.socket)].map(({ written }) => written[0]?.slice(-3));
    expect(said).toEqual(['one', 'two', 'six']);
  });

  test('may be of any length', () => {
    const long = Buffer.alloc(40_000, 'long');
    const replies: Reply[] = [long, BYTES].map((bytes) => ({ ...REPLY, body: { kind: 'bytes', bytes } }));
    const { answer, socket } = learnt({ reply: () => replies.shift() });
    expect([answer(), answer()]).toEqual([true, true]);
    expect(socket.written.map((text) => text.split('\r\n\r\n')[1])).toEqual([long.toString(), 'four']);
  });

  test('is none where nothing is ready, or the client is somebody by its certificate', () => {
    expect(learnt({ reply: () => undefined }).answer()).toBe(false);
    expect(learnt({ certificate: 'ann' }).answer()).toBe(false);
    expect(learnt({ trusted: ['192.0.2.0/24'] }).answer()).toBe(false);
  });

  test('leaves at the end of its turn, and before what comes behind it', () => {
    const { begin, turn, soon, socket, connection, records } = learnt();
    expect(begin()).toBe(true);
    expect([soon.length, socket.written.length, connection.live, records().length]).toEqual([1, 0, 1, 0]);
    turn();
    expect([socket.written.length, connection.live, records().length]).toEqual([1, 0, 1]);
    begin();
    connection.due?.();
    expect([socket.written.length, connection.due]).toEqual([2, undefined]);
    turn();
    expect([socket.written.length, connection.live, records().length]).toEqual([2, 0, 2]);
  });

  test('of a client that has gone meanwhile is told as one that did not arrive', () => {
    const { begin, turn, socket, records } = learnt();
    begin();
    socket.destroy();
    turn();
    expect(records()).toMatchObject([{ status: 200, bytes: 0, aborted: true }]);
  });

  test('counts for its address, and waits for nobody', () => {
    const { answer } = learnt({ address: { rate: { perSecond: 1, burst: 2 }, concurrent: undefined } });
    expect([answer(), answer(), answer()]).toEqual([true, true, false]);
    expect(learnt({ address: { rate: undefined, concurrent: 8 } }).answer()).toBe(false);
  });

  test('ends when the kernel has all of it; until then it runs', () => {
    const { answer, socket, connection, records } = learnt();
    socket.takes = false;
    answer();
    expect([connection.live, records()]).toEqual([1, []]);
    socket.take();
    expect([connection.live, records().length, records()[0]?.bytes]).toEqual([0, 1, 4]);
  });

  test('[S23] is cut where the client takes nothing of it for the stall time', async () => {
    const { answer, socket, clock, records } = learnt();
    socket.takes = false;
    answer();
    await clock.advance(STALL_MS * 1.5);
    expect(socket.destroyed).toBe(true);
    expect(records()).toMatchObject([{ status: 200, bytes: 0, aborted: true }]);
  });

  test.each<[string, Options]>([
    ['was no hit', { exchange: { trace: { ...newTrace('id-0'), outcome: 'miss' } } }],
    ['was cut', { exchange: { whole: false } }],
    ['was somebody’s', { exchange: { identity: { subject: { kind: 'user', name: 'ann' }, scopes: undefined } } }],
    ['may be somebody’s elsewhere', { exchange: { identity: { ...NOBODY, credentials: { username: 'ann', password: 'x' } } } }],
    ['came with a certificate', { exchange: { certificate: 'ann' } }],
    ['ended its connection', { rawHeaders: ['Host', 'mirror.test', 'Connection', 'close'] }],
    ['shows a token', { rawHeaders: ['Host', 'mirror.test', 'Authorization', 'Bearer x'] }],
    ['has two of a field', { rawHeaders: ['Host', 'mirror.test', 'Accept', 'a/b', 'Accept', 'c/d'] }],
    ['has a date of the operator’s', { exchange: { commonHeaders: { date: 'never' } } }],
  ])('is not learnt of a request that %s', (_what, options) => {
    expect(learnt(options).answer()).toBe(false);
  });
});
