import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import { BLOB_PATH, collect, jsonReply, readUntil, request, STALL_MS, startEdge } from './edge.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

/** The status lines of all answers in what was received. */
function statuses(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

describe('[S19] bytes that two parsers may read differently', () => {
  const smuggled = request('GET', '/v2/smuggled/manifests/x');
  const corpus: readonly (readonly [string, string])[] = [
    ['two Hosts', `GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${smuggled}`],
    ['two Hosts that agree', `GET /v2/ HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n${smuggled}`],
    ['no Host', `GET /v2/ HTTP/1.1\r\n\r\n${smuggled}`],
    ['a Host that is none', `GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n${smuggled}`],
    [
      'length and chunks',
      `POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      'two lengths [CVE-2026-1525]',
      `POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n${smuggled}`,
    ],
    ['two lengths in one', `POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 5\r\n\r\n${smuggled}`],
    ['a length with a sign', `POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n${smuggled}`],
    [
      'a coding that is not the last [CVE-2022-32213]',
      `POST /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    ['a space before the colon [CVE-2021-22959]', `GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n${smuggled}`],
    ['a bare CR [CVE-2023-30589]', `GET /v2/ HTTP/1.1\r\nHost: a\rX: b\r\n\r\n${smuggled}`],
    [
      'a length that begins with a space [CVE-2024-27982]',
      `POST /v2/ HTTP/1.1\r\n Content-Length: 5\r\nHost: a\r\n\r\n${smuggled}`,
    ],
    ['a bare LF in the head', `GET /v2/ HTTP/1.1\nHost: a\n\n${smuggled}`],
    ['NUL in a value', `GET /v2/ HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n${smuggled}`],
    ['no version', `GET /v2/\r\n\r\n${smuggled}`],
    ['another version', `GET /v2/ HTTP/3.7\r\nHost: a\r\n\r\n${smuggled}`],
    ['the preface of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${smuggled}`],
    ['a TLS hello', `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${smuggled}`],
    ['an asterisk', `OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`],
    ['a target without a slash', `GET v2/ HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`],
    ['a backslash in the path', `GET /v2/a\\b/manifests/x HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`],
    ['a backslash and a Host that is an address', `GET /v2/..\\x HTTP/1.1\r\nHost: [::1]\r\n\r\n${smuggled}`],
  ];

  test.each(corpus)('%s: 400, closed, and no second answer', async (_, bytes) => {
    const asked: string[] = [];
    const edge = await startEdge({
      pull: ({ target }) => {
        asked.push(target.name.repository);
        return Promise.resolve(jsonReply({}));
      },
    });
    const received = await edge.raw(Buffer.from(bytes, 'latin1'));
    expect(statuses(received)).toEqual([400]);
    expect(received).toMatch(/connection: close\r\n/i);
    expect(received).toMatch(/content-type: application\/json\r\n/i);
    expect(received).toMatch(/x-request-id: id-\d+\r\n/i);
    expect(asked).toEqual([]);
    expect(edge.listener.connections()).toBe(0);
  });

  test('chunks that are none, behind a 405: closed without another answer', async () => {
    const edge = await startEdge();
    const received = await edge.raw(`POST /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}`);
    expect(statuses(received).length).toBeLessThanOrEqual(1);
    expect(received).not.toContain('smuggled');
  });

  test('a body that looks like a request is a body', async () => {
    const edge = await startEdge({ pull: () => Promise.reject(new Error('asked')) });
    const received = await edge.raw(
      `POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${request('GET', '/v2/', ['Connection: close'])}`,
    );
    expect(statuses(received)).toEqual([405, 200]);
    expect(edge.faults()).toEqual([]);
  });

  test('bytes that are no request while an answer is on its way end both, and never stand inside it', async () => {
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (answer = resolve));
    const edge = await startEdge({
      pull: () => {
        answer();
        return new Promise(() => undefined);
      },
    });
    const socket = await edge.connect();
    const closed = collect(socket);
    socket.write(request('GET', BLOB_PATH));
    await asked;
    socket.write('\0\0\0\r\n\r\n');
    expect(await closed).toBe('');
    await edge.ended(1);
  });
});

describe('limits', () => {
  test('[CVE-2024-22019] chunks that are nothing but extensions are not read for ever', async () => {
    const edge = await startEdge();
    const socket = await edge.connect();
    const closed = collect(socket);
    socket.on('error', () => undefined);
    socket.write('POST /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=');
    let sent = 0;
    while (!socket.destroyed && sent < 64) {
      if (!socket.write('b'.repeat(64 * 1024)))
        await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
      await new Promise((resolve) => setImmediate(resolve));
      sent += 1;
    }
    await closed;
    expect(sent).toBeLessThan(64);
    expect(edge.listener.connections()).toBe(0);
  });

  test.each([
    ['a header of 70 KiB', request('GET', '/v2/', [`X: ${'a'.repeat(70 * 1024)}`]), 431],
    [
      '201 fields',
      request(
        'GET',
        '/v2/',
        Array.from({ length: 201 }, (_, index) => `X-${index}: a`),
      ),
      431,
    ],
    ['a target of 9 KiB', request('GET', `/v2/${'a'.repeat(9 * 1024)}`), 414],
  ])('%s is refused', async (_, bytes, status) => {
    const edge = await startEdge();
    const socket = await edge.connect();
    socket.write(bytes);
    const received = await readUntil(socket, (text) => text.includes('\r\n\r\n'));
    expect(statuses(received)).toEqual([status]);
  });

  test('a header of 60 KiB, which a token may need, is taken', async () => {
    const edge = await startEdge();
    const received = await edge.raw(
      request('GET', '/v2/', [`Authorization: Bearer ${'a'.repeat(60 * 1024)}`, 'Connection: close']),
    );
    expect(statuses(received)).toEqual([200]);
  });

  test('[S24] [CVE-2018-12122] a head that does not come is answered 408 and closed; a silent connection is closed; an idle one is kept', async () => {
    const edge = await startEdge({ limits: { headersTimeoutMs: 100, checkingIntervalMs: 20 } });
    const idle = await edge.connect();
    idle.write(request('GET', '/v2/'));
    await readUntil(idle, (text) => text.endsWith('{}'));
    const [slow, silent] = await Promise.all([edge.raw('GET /v2/ HTTP/1.1\r\nHost'), edge.raw('')]);
    expect(statuses(slow)).toEqual([408]);
    expect(silent).toBe('');
    idle.write(request('GET', '/v2/'));
    expect(await readUntil(idle, (text) => text.endsWith('{}'))).toContain('200 OK');
  });

  test('[R52] an idle connection is kept longer than Go’s clients keep theirs, and says so', async () => {
    const edge = await startEdge();
    const idle = await edge.connect();
    idle.write(request('GET', '/v2/'));
    const answer = await readUntil(idle, (text) => text.endsWith('{}'));
    expect(Number(/keep-alive: timeout=(\d+)/i.exec(answer)?.[1])).toBeGreaterThan(90);
  });

  test('connections of one address are capped, and room is made by those that leave', async () => {
    const edge = await startEdge({ limits: { connectionsPerAddressMax: 3 } });
    const sockets = [await edge.connect(), await edge.connect(), await edge.connect()];
    expect(await edge.raw(request('GET', '/v2/', ['Connection: close']))).toBe('');
    const first = sockets[0]!;
    first.write(request('GET', '/v2/', ['Connection: close']));
    await collect(first);
    await edge.ended(1);
    const received = await edge.raw(request('GET', '/v2/', ['Connection: close']));
    expect(statuses(received)).toEqual([200]);
  });

  test('trusted proxies are not capped: all clients have their address', async () => {
    const edge = await startEdge({ limits: { connectionsPerAddressMax: 1 }, trusted: ['127.0.0.1'] });
    await edge.connect();
    expect(statuses(await edge.raw(request('GET', '/v2/', ['Connection: close'])))).toEqual([200]);
  });

  test('a flood of pipelined requests is not kept: its connection is cut', async () => {
    const edge = await startEdge({ pull: () => new Promise(() => undefined) });
    const socket = await edge.connect();
    const closed = collect(socket);
    socket.write(request('GET', BLOB_PATH).repeat(3000));
    expect(await closed).toBe('');
    expect(edge.records().length).toBeLessThanOrEqual(1000 + (64 * 1024) / 100);
  });
});

describe('bodies that nobody reads', () => {
  test('[P13] are dropped as they come, and the connection serves on', async () => {
    const edge = await startEdge();
    const socket = await edge.connect();
    const body = Buffer.alloc(500_000, 'x');
    socket.write(`PUT /v2/a/manifests/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.byteLength}\r\n\r\n`);
    socket.write(body);
    socket.write(request('GET', '/v2/', ['Connection: close']));
    expect(statuses(await collect(socket))).toEqual([405, 200]);
  });

  test('[P13] of any size are cut soon after the answer', async () => {
    const edge = await startEdge();
    const socket = await edge.connect();
    const received = collect(socket);
    socket.write(`PATCH /v2/a/blobs/uploads/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${10 ** 12}\r\n\r\n`);
    const chunk = Buffer.alloc(256 * 1024);
    const push = (): void => {
      if (!socket.destroyed) socket.write(chunk, push);
    };
    push();
    expect(statuses(await received)).toEqual([405]);
  });

  test('that do not come are waited for no longer than ten seconds', async () => {
    const edge = await startEdge();
    const socket = await edge.connect();
    const received = collect(socket);
    socket.write('PATCH /v2/a/blobs/uploads/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n');
    await edge.ended(1);
    await edge.clock.advance(10_001);
    expect(statuses(await received)).toEqual([405]);
    await edge.clock.advance(STALL_MS);
    expect(edge.clock.pending()).toBe(0);
  });

  test('are not asked for: Expect is answered with the answer', async () => {
    const edge = await startEdge();
    const received = await edge.raw(
      'PUT /v2/a/manifests/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n',
    );
    expect(statuses(received)).toEqual([405]);
    expect(received).toMatch(/connection: close/i);
  });
});

test('[P18] a second request on a kept connection, and two at once', async () => {
  const edge = await startEdge();
  const socket = await edge.connect();
  socket.write(request('GET', '/v2/'));
  expect(await readUntil(socket, (text) => text.endsWith('{}'))).toMatch(/keep-alive: timeout=95/i);
  socket.write(request('GET', '/v2/') + request('GET', '/v2/', ['Connection: close']));
  expect(statuses(await collect(socket))).toEqual([200, 200]);
});

test('[S25] [CVE-2026-21710] header fields by the names of prototypes are header fields', async () => {
  const edge = await startEdge();
  const received = await edge.raw(
    request('GET', '/v2/', [
      '__proto__: x',
      'constructor: y',
      'toString: z',
      'hasOwnProperty: q',
      'x-forwarded-for: __proto__',
      'Connection: close',
    ]),
  );
  expect(statuses(received)).toEqual([200]);
  expect(({} as { x?: unknown }).x).toBeUndefined();
});

test('[S47] nothing is printed by others, and no record holds a raw line break', async () => {
  const printed: unknown[] = [];
  const streams = [process.stdout, process.stderr] as const;
  const writes = streams.map((stream) => stream.write);
  for (const stream of streams) stream.write = ((text: unknown) => printed.push(text) > 0) as typeof stream.write;
  try {
    const edge = await startEdge({ pull: () => Promise.reject(new Error('line\n{"level":"error"}')) });
    await edge.raw(request('GET', '/v2/a%0a{"level":"error"}/manifests/x', ['Connection: close']));
    await edge.raw(request('GET', BLOB_PATH, ['Connection: close']));
    expect(
      edge
        .records()
        .map(({ path }) => path)
        .join(''),
    ).not.toMatch(/[\n\r]/);
    expect(statuses(await edge.raw(request('GET', '/v2/', ['User-Agent: \x1b[31mred'])))).toEqual([400]);
    expect(edge.records().map(({ status }) => status)).toEqual([400, 500]);
  } finally {
    streams.forEach((stream, index) => (stream.write = writes[index]!));
  }
  expect(printed).toEqual([]);
});

test('[S20] 5,000 mutated targets: no name but by the grammar, no fault, no crash', async () => {
  const random = createSeededRandom(20);
  const pieces = [
    '/',
    '..',
    '.',
    '%2f',
    '%2F',
    '%252f',
    '%00',
    '%0d%0a',
    '//',
    '\\',
    'v2',
    'a',
    'B',
    'manifests',
    'blobs',
    'x',
    ':',
    '@',
    '?',
    'ns=',
    '#',
    '%',
    '\u00ff',
    '%c0%af',
    'uploads',
    'tags/list',
    '_catalog',
    '%3A',
    'docker.io',
    '*',
    '{',
    '|',
    '~',
    ';',
    '&',
  ];
  const names: string[] = [];
  const edge = await startEdge({
    pull: ({ target }) => {
      names.push(target.name.repository);
      return Promise.reject(new RegistryError('MANIFEST_UNKNOWN', 'no such manifest'));
    },
  });
  const targets = Array.from({ length: 5000 }, () => {
    const count = 1 + Math.floor(random.fraction() * 12);
    const middle = Array.from({ length: count }, () => pieces[Math.floor(random.fraction() * pieces.length)]).join('');
    return random.fraction() < 0.7 ? `/v2/${middle}/manifests/x` : `/${middle}`;
  });
  const seen = new Map<number, number>();
  for (let start = 0; start < targets.length; start += 50) {
    const batch = targets
      .slice(start, start + 50)
      .map((target) => edge.raw(Buffer.from(request('GET', target, ['Connection: close']), 'latin1')));
    for (const received of await Promise.all(batch)) {
      const [status, ...more] = statuses(received);
      expect(more).toEqual([]);
      seen.set(status ?? 0, (seen.get(status ?? 0) ?? 0) + 1);
    }
  }
  expect([...seen.keys()].every((status) => [200, 400, 404].includes(status))).toBe(true);
  expect(seen.get(404)).toBeGreaterThan(100);
  expect(names.every((name) => /^[a-z0-9]+([._/-]+[a-z0-9]+)*$/.test(name) && !name.includes('..'))).toBe(true);
  expect(edge.faults()).toEqual([]);
  expect(edge.listener.connections()).toBe(0);
});
