import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { ClientAuth } from '../../../src/http/client-certificate.ts';
import type { Handler } from '../../../src/http/handler.ts';
import { createAuthority, type Pair } from '../../fakes/certificates.ts';
import { BLOB_PATH, request, STALL_MS } from './edge.ts';
import { reached } from './http2-client.ts';
import { pullOf } from './scripted-content.ts';
import { startSecureEdge, type SecureEdge } from './secure-edge.ts';

/** Answers with the name that the client's certificate gave it. */
const tellName: Handler = (_, outgoing, connection) => {
  const bytes = Buffer.from(connection.certificate ?? '(nobody)');
  outgoing.writeHead(200, { 'content-length': bytes.byteLength });
  outgoing.end(bytes, () => undefined);
};

const CLIENTS = createAuthority('Clients');
const OTHERS = createAuthority('Others');
const ann = CLIENTS.issue('ann');
const mallory = OTHERS.issue('ann');
const shows = ({ certificate, key }: Pair) => ({ cert: certificate, key });

function startAsking(clientAuth: ClientAuth): Promise<SecureEdge> {
  return startSecureEdge({ tls: { clientAuth, clientCas: [CLIENTS.certificate] }, listener: { handle: tellName } });
}

describe('a listener with a certificate', () => {
  test('answers over TLS, and to nobody without', async () => {
    const edge = await startSecureEdge();
    expect((await edge.fetch('/livez')).status).toBe(200);
    const plain = await edge.raw('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(plain).not.toContain('HTTP/1.1 200');
    expect(edge.events.filter(({ kind }) => kind === 'unreadable')).toEqual([]);
    expect((await edge.fetch('/livez')).status).toBe(200);
  });

  test.each([
    ['TLSv1.2', 'TLSv1.1', false],
    ['TLSv1.2', 'TLSv1.2', true],
    ['TLSv1.3', 'TLSv1.2', false],
    ['TLSv1.1', 'TLSv1.1', true],
    ['TLSv1', 'TLSv1', true],
  ] as const)('from %s on: %s is let in: %s', async (minimum, offered, admitted) => {
    const edge = await startSecureEdge({ tls: { minimum } });
    const trying = edge.handshake({ minVersion: offered, maxVersion: offered, ciphers: 'DEFAULT:@SECLEVEL=0' });
    const outcome = await trying.then(
      (socket) => socket.getProtocol(),
      (error: NodeJS.ErrnoException) => error.code ?? '',
    );
    expect(outcome).toMatch(admitted ? offered : /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
  });

  test('agrees on HTTP/1.1, unless HTTP/2 is written out', async () => {
    const edge = await startSecureEdge();
    const socket = await edge.handshake({ ALPNProtocols: ['h2', 'http/1.1'] });
    expect(socket.alpnProtocol).toBe('http/1.1');
    const both = await startSecureEdge({ http2: true });
    expect((await both.handshake({ ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol).toBe('h2');
    expect((await both.handshake({ ALPNProtocols: ['http/1.1'] })).alpnProtocol).toBe('http/1.1');
    expect((await both.fetch('/livez')).status).toBe(200);
  });

  test('takes a new one for connections from now on, and keeps those that there are', async () => {
    const edge = await startSecureEdge();
    const before = await edge.handshake();
    const next = edge.authority.issue(['localhost', 'next']);
    edge.listener.setTls({ ...edge.tls, ...next });
    expect((await edge.handshake()).getPeerCertificate().subject.CN).toEqual(['localhost', 'next']);
    before.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(String(await once(before, 'data'))).toContain('200 OK');
  });

  test('keeps the old one when the new one does not fit its key', async () => {
    const edge = await startSecureEdge();
    const { certificate } = edge.authority.issue(['localhost', 'next']);
    expect(() => edge.listener.setTls({ ...edge.tls, certificate })).toThrow(/key values mismatch/i);
    expect((await edge.handshake()).getPeerCertificate().subject.CN).toBe('localhost');
    expect((await edge.fetch('/livez')).status).toBe(200);
  });
});

test('[S24] a client that takes its time within one write is slow, and one that takes nothing is cut', async () => {
  const bytes = Buffer.alloc(64 * 1024 * 1024);
  const headers = { 'content-length': String(bytes.byteLength) };
  const edge = await startSecureEdge({ pull: pullOf({ status: 200, headers, body: { kind: 'bytes', bytes } }) });
  const socket = await edge.handshake();
  socket.write(request('GET', BLOB_PATH));
  for (let quarter = 0; quarter < 8; quarter += 1) {
    await take(socket, 2_500_000);
    await edge.clock.advance(STALL_MS / 4);
  }
  expect(edge.records()).toEqual([]);
  await edge.clock.advance(STALL_MS * 1.5);
  await edge.ended(1);
  expect(edge.records()).toMatchObject([{ aborted: true, bytes: 0 }]);
  await once(socket.resume(), 'close');
});

/** Reads so many bytes, and then no more. */
async function take(socket: TLSSocket, count: number): Promise<void> {
  let taken = 0;
  socket.resume();
  while (taken < count) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    taken += chunk.byteLength;
  }
  socket.pause();
}

describe('client certificates', () => {
  const MODES: readonly (readonly [ClientAuth, none: string, wrong: string, right: string])[] = [
    ['request-client-cert', '(nobody)', '(nobody)', 'ann'],
    ['require-any-client-cert', 'refused', '(nobody)', 'ann'],
    ['verify-client-cert-if-given', '(nobody)', 'refused', 'ann'],
    ['require-and-verify-client-cert', 'refused', 'refused', 'ann'],
  ];
  test.each(MODES)('%s', async (mode, ...outcomes) => {
    const edge = await startAsking(mode);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const as = (shown: object): Promise<string> =>
        edge.fetch('/', { minVersion: version, maxVersion: version, ...shown }).then(
          ({ body }) => body,
          () => 'refused',
        );
      expect([await as({}), await as(shows(mallory)), await as(shows(ann))]).toEqual(outcomes);
    }
  });

  test.each([
    ['two common names', CLIENTS.issue(['ann', 'root'])],
    ['a control character', CLIENTS.issue('ann\n')],
    ['one that has run out', CLIENTS.issue('ann', { to: new Date(Date.now() - 1000) })],
  ])('%s: names nobody', async (_, pair) => {
    const edge = await startAsking('request-client-cert');
    expect((await edge.fetch('/', shows(pair))).body).toBe('(nobody)');
  });

  test('nothing is believed because an earlier connection is taken up: TLS 1.3 calls that authorized', async () => {
    const edge = await startAsking('verify-client-cert-if-given');
    const socket = await edge.handshake({ maxVersion: 'TLSv1.3' });
    let session: Buffer | undefined;
    socket.on('session', (given: Buffer) => (session = given));
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    const again = await edge.handshake(session === undefined ? {} : { session });
    expect(again.isSessionReused()).toBe(false);
    again.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(String(await once(again, 'data'))).toContain('(nobody)');
  });

  test.each([false, true])('a connection whose client is judged otherwise from now on ends (HTTP/2: %s)', async (http2) => {
    const edge = await startSecureEdge({
      http2,
      tls: { clientAuth: 'verify-client-cert-if-given', clientCas: [CLIENTS.certificate] },
      listener: { handle: tellName },
    });
    const idle = http2 ? edge.session(shows(ann)) : await edge.handshake(shows(ann));
    await reached(() => edge.listener.connections() === 1);
    edge.listener.setTls({ ...edge.tls, ...edge.authority.issue('localhost') });
    expect(edge.listener.connections()).toBe(1);
    const closed = once(
      idle.on('data', () => undefined),
      'close',
    );
    edge.listener.setTls({ ...edge.tls, clientCas: [OTHERS.certificate] });
    await closed;
  });

  test('whoever is taken from clientcas is a stranger at the next connection', async () => {
    const edge = await startAsking('require-and-verify-client-cert');
    expect((await edge.fetch('/', shows(ann))).body).toBe('ann');
    edge.listener.setTls({ ...edge.tls, clientCas: [OTHERS.certificate] });
    await expect(edge.fetch('/', shows(ann))).rejects.toThrow(/socket|reset|alert/i);
    expect((await edge.fetch('/', shows(mallory))).body).toBe('ann');
  });
});
