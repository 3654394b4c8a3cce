import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openListenerTls } from '../../../src/compose/listener-tls.ts';
import type { HttpTlsConfig } from '../../../src/config/config.ts';
import type { TlsOptions } from '../../../src/http/tls-options.ts';
import type { HouseEvent } from '../../../src/observe/events.ts';
import { createAuthority, type Pair } from '../../fakes/certificates.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 0, 1);
const authority = createAuthority('Test');
const lasting = (days: number, name = 'localhost'): Pair =>
  authority.issue(name, { from: new Date(NOW - 30 * DAY_MS), to: new Date(NOW + days * DAY_MS) });

const CONFIG: HttpTlsConfig = {
  certificate: '/cert.pem',
  key: '/key.pem',
  clientcas: ['/ca.pem'],
  clientauth: 'require-and-verify-client-cert',
  minimum: 'TLSv1.2',
  ciphers: undefined,
};

/** Two looks at the files, which are needed, and some. */
const LOOKS_MS = 6000;

async function stage(pair: Pair, config = CONFIG) {
  const disk = createMemoryDisk();
  const clock = createFakeClock(NOW);
  const events: HouseEvent[] = [];
  const used: TlsOptions[] = [];
  const put = async (path: string, text: string): Promise<void> => {
    await disk.unlink(path);
    const file = await disk.open(path, 'create');
    await file?.write(Buffer.from(text), 0);
    await file?.close();
  };
  const putPair = async ({ certificate, key }: Pair): Promise<void> => {
    await put('/cert.pem', certificate);
    await put('/key.pem', key);
  };
  await putPair(pair);
  await put('/ca.pem', authority.certificate);
  const tls = await openListenerTls(config, { system: { clock, disk }, report: (event) => events.push(event) });
  const start = (): void =>
    tls.start((options) => {
      used.push(options);
    });
  const told = (kind: HouseEvent['kind']): HouseEvent[] => events.filter((event) => event.kind === kind);
  return { disk, clock, events, used, put, putPair, tls, start, told };
}

const nameIn = ({ certificate }: Pick<TlsOptions, 'certificate'>): string => new X509Certificate(certificate).subject;

describe('the certificate of the listener', () => {
  test('is read with its key and who vouches for clients', async () => {
    const pair = lasting(100);
    const { tls } = await stage(pair);
    expect(tls.options).toEqual({
      ...pair,
      minimum: 'TLSv1.2',
      ciphers: undefined,
      clientCas: [authority.certificate],
      clientAuth: 'require-and-verify-client-cert',
    });
  });

  test('is used from then on when it changes, and is not read when it does not', async () => {
    const { clock, disk, used, putPair, start, told } = await stage(lasting(100));
    start();
    await clock.advance(60_000);
    expect(used).toEqual([]);
    await putPair(lasting(200, 'next'));
    await clock.advance(LOOKS_MS);
    expect(used.map(nameIn)).toEqual(['CN=next']);
    expect(told('reloaded')).toEqual([{ kind: 'reloaded', part: 'certificate', config: 'http.tls', restart: [] }]);
    expect(told('certificate').at(-1)).toMatchObject({ expires: NOW + 200 * DAY_MS });
    expect(disk.openFiles()).toEqual([]);
  });

  test('a change of clientcas alone counts', async () => {
    const { clock, used, put, start } = await stage(lasting(100));
    start();
    const other = createAuthority('Other').certificate;
    await put('/ca.pem', other);
    await clock.advance(LOOKS_MS);
    expect(used.map(({ clientCas }) => clientCas)).toEqual([[other]]);
  });

  test.each([
    ['without its key', (pair: Pair): Pair => ({ ...pair, key: lasting(1).key }), 'http.tls.key: expected the private key'],
    [
      'that is none',
      (pair: Pair): Pair => ({ ...pair, certificate: 'junk' }),
      'http.tls.certificate: expected a file in PEM form',
    ],
  ] as const)('one %s keeps the old one in use, until it is mended', async (_, wrong, message) => {
    const { clock, tls, used, putPair, start, told } = await stage(lasting(100));
    start();
    const next = lasting(200, 'next');
    await putPair(wrong(next));
    await clock.advance(LOOKS_MS);
    expect(used).toEqual([]);
    expect(told('reload-failed')[0]).toMatchObject({ part: 'certificate', config: 'http.tls' });
    expect(JSON.stringify(told('reload-failed'))).toContain(message);
    expect(nameIn(tls.options)).toBe('CN=localhost');
    await putPair(next);
    await clock.advance(LOOKS_MS);
    expect(used.map(nameIn)).toEqual(['CN=next']);
  });

  test('one that goes and comes back is right again, though it is the one in use', async () => {
    const pair = lasting(100);
    const { clock, disk, put, start, told } = await stage(pair);
    start();
    await disk.unlink('/key.pem');
    await clock.advance(LOOKS_MS);
    expect(told('reload-failed').length).toBeGreaterThan(0);
    await put('/key.pem', pair.key);
    await clock.advance(LOOKS_MS);
    expect(told('reloaded')).toHaveLength(1);
  });

  test('one that the listener cannot use is not taken for the one in use', async () => {
    const { clock, tls, putPair, told } = await stage(lasting(100));
    tls.start(() => {
      throw new Error('dh key too small');
    });
    await putPair(lasting(200, 'next'));
    await clock.advance(LOOKS_MS);
    expect(told('reload-failed')[0]).toMatchObject({ message: 'dh key too small' });
    expect(nameIn(tls.options)).toBe('CN=localhost');
  });

  test('a reload may name other files', async () => {
    const { clock, tls, used, put, start } = await stage(lasting(100));
    start();
    const moved = lasting(300, 'moved');
    await put('/b.pem', moved.certificate);
    await put('/b-key.pem', moved.key);
    tls.change(CONFIG);
    await clock.advance(0);
    expect(used).toEqual([]);
    tls.change({ ...CONFIG, certificate: '/b.pem', key: '/b-key.pem', minimum: 'TLSv1.3' });
    await clock.advance(100);
    expect(used.map((options) => [nameIn(options), options.minimum])).toEqual([['CN=moved', 'TLSv1.3']]);
  });

  test('is not looked at any more once the listener has ended', async () => {
    const { clock, tls, used, putPair, start } = await stage(lasting(100));
    start();
    await clock.advance(1);
    tls.stop();
    await putPair(lasting(200));
    await clock.advance(LOOKS_MS);
    expect(used).toEqual([]);
    expect(clock.pending()).toBe(0);
  });

  test.each([
    [100, 'enough'],
    [13, 'little'],
    [-1, 'none'],
  ])('that has %d days left is told to have %s', async (days, left) => {
    const { clock, start, told } = await stage(lasting(days));
    start();
    await clock.advance(1);
    expect(told('certificate')).toEqual([{ kind: 'certificate', name: 'http.tls', expires: NOW + days * DAY_MS, left }]);
  });

  test('one that lives shortly has little left in its last third', async () => {
    const short = authority.issue('localhost', { from: new Date(NOW - 3 * DAY_MS), to: new Date(NOW + 3 * DAY_MS) });
    const { clock, start, told } = await stage(short);
    start();
    clock.jump(DAY_MS / 2);
    await clock.advance(HOUR_MS);
    expect(told('certificate').at(-1)).toMatchObject({ left: 'enough' });
    clock.jump(DAY_MS);
    await clock.advance(HOUR_MS);
    expect(told('certificate').at(-1)).toMatchObject({ left: 'little' });
    clock.jump(2 * DAY_MS);
    await clock.advance(HOUR_MS);
    expect(told('certificate').at(-1)).toMatchObject({ left: 'none' });
  });

  test('one that cannot be read at the start keeps it from starting', async () => {
    await expect(stage({ certificate: 'junk', key: 'junk' })).rejects.toThrow('http.tls.certificate: expected');
  });
});
