import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../../src/oci/errors.ts';
import { etagOf, type Content } from '../../../src/pull/content.ts';
import { respondBlob, respondManifest, type Conditions } from '../../../src/pull/respond.ts';
import { randomBlob } from '../../fakes/images.ts';

const blob = randomBlob(10_000);
const HIT = { outcome: 'hit' } as const;

/** Content that nobody may open. */
function content(size: number | undefined): Content {
  const open = (): never => {
    throw new Error('opened');
  };
  return { digest: blob.digest, size, etag: etagOf(blob.digest), open };
}

function get(conditions: Partial<Conditions>, size: number | undefined = blob.size) {
  return respondBlob(content(size), HIT, { method: 'GET', ...conditions });
}

describe('a blob', () => {
  test('[P49] has its length, digest, type, tag and ranges, and no encoding', () => {
    expect(get({}).headers).toEqual({
      'docker-content-digest': blob.digest,
      etag: `"${blob.digest}"`,
      'cache-status': 'entrepot; hit',
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      'content-length': '10000',
    });
  });

  test('[P50] [P65] HEAD says the same and brings nothing, with a range too', () => {
    for (const conditions of [{}, { range: 'bytes=0-9' }]) {
      const head = get({ method: 'HEAD', ...conditions });
      expect([head.status, head.headers, head.body]).toEqual([200, get({}).headers, { kind: 'none' }]);
    }
  });

  test.each([
    ['[P55]', 'bytes=500-1499', 500, 1500],
    ['[P56]', 'bytes=500-', 500, 10_000],
    ['[P57]', 'bytes=-500', 9500, 10_000],
    ['[P57]', 'bytes=-50000', 0, 10_000],
    ['[P58]', 'bytes=9000-50000', 9000, 10_000],
    ['[P58]', 'bytes=9000-10000', 9000, 10_000],
  ])('%s %s is 206 from %i to %i', (_, range, from, to) => {
    const reply = get({ range });
    expect([reply.status, reply.headers['content-range'], reply.headers['content-length']]).toEqual([
      206,
      `bytes ${from}-${to - 1}/10000`,
      String(to - from),
    ]);
    expect(reply.body).toMatchObject({ kind: 'content', from, to });
  });

  test.each(['bytes=10000-', 'bytes=50000-60000', 'bytes=500-0'])('[P59] %s is 416 with the size', (range) => {
    const refused = (): unknown => get({ range });
    expect(refused).toThrow(RegistryError);
    expect(refused).toThrow(
      expect.objectContaining({
        status: 416,
        headers: expect.objectContaining({ 'content-range': 'bytes */10000' }) as unknown,
      }) as Error,
    );
  });

  test.each([
    'items=0-5',
    'bytes=abc',
    'bytes=0-99,50-199',
    `bytes=${Array.from({ length: 101 }, (__, at) => `${at * 9}-${at * 9}`).join()}`,
  ])('[P60] [P62] %s is all of it', (range) => {
    expect(get({ range })).toMatchObject({ status: 200, body: { kind: 'content', from: 0, to: undefined } });
  });

  test('[P61] several ranges are one multipart body, of exactly the length that it says', () => {
    const reply = get({ range: 'bytes=0-99,200-299,-5' });
    if (reply.body.kind !== 'parts') throw new Error('not in parts');
    const { parts, tail } = reply.body;
    const [, boundary] = /^multipart\/byteranges; boundary=([A-Za-z0-9:-]+)$/.exec(reply.headers['content-type'] ?? '') ?? [];
    const texts = parts.map(({ head }) => Buffer.from(head).toString());
    expect(texts.map((text) => /content-range: (.*)\r\n\r\n$/.exec(text)?.[1])).toEqual([
      'bytes 0-99/10000',
      'bytes 200-299/10000',
      'bytes 9995-9999/10000',
    ]);
    expect(texts[0]!.startsWith(`--${boundary}\r\n`)).toBe(true);
    expect(texts[1]!.startsWith(`\r\n--${boundary}\r\n`)).toBe(true);
    expect(Buffer.from(tail).toString()).toBe(`\r\n--${boundary}--\r\n`);
    const length = parts.reduce((sum, { head, from, to }) => sum + head.length + to - from, tail.length);
    expect([reply.status, reply.headers['content-length']]).toEqual([206, String(length)]);
  });

  test('[P63] a validator that does not match makes the range void', () => {
    expect(get({ range: 'bytes=0-9', ifRange: `"${blob.digest}"` }).status).toBe(206);
    expect(get({ range: 'bytes=0-9', ifRange: '"other"' }).status).toBe(200);
    expect(get({ range: 'bytes=0-9', ifRange: `W/"${blob.digest}"` }).status).toBe(200);
  });

  test('[P66] a range of the empty blob is 416', () => {
    expect(() => get({ range: 'bytes=0-' }, 0)).toThrow(RegistryError);
    expect(get({}, 0).headers['content-length']).toBe('0');
  });

  test('[P67] beyond 4 GiB', () => {
    const reply = get({ range: 'bytes=4294967296-' }, 6_000_000_000);
    expect(reply.headers['content-range']).toBe('bytes 4294967296-5999999999/6000000000');
  });

  test('a size that nobody knows: 200, without a length', () => {
    const reply = respondBlob(content(undefined), HIT, { method: 'GET', range: 'bytes=0-9' });
    expect(reply.status).toBe(200);
    expect(reply.headers).not.toHaveProperty('content-length');
  });
});

describe('304', () => {
  const manifest = { digest: blob.digest, mediaType: 'application/x', size: blob.size, bytes: blob.bytes };

  test('[P43] only for those who asked', () => {
    expect([get({}).status, respondManifest(manifest, HIT, { method: 'GET' }).status]).toEqual([200, 200]);
  });

  test.each([`"${blob.digest}"`, blob.digest, `W/"${blob.digest}"`, `"x", "${blob.digest}"`, '*'])(
    '[P44] %s matches',
    (ifNoneMatch) => {
      for (const method of ['GET', 'HEAD'] as const) {
        const reply = respondManifest(manifest, HIT, { method, ifNoneMatch });
        expect([reply.status, reply.body.kind]).toEqual([304, 'none']);
        expect(reply.headers).toMatchObject({ etag: `"${blob.digest}"`, 'docker-content-digest': blob.digest });
        expect(reply.headers).not.toHaveProperty('content-length');
      }
      expect(get({ ifNoneMatch, range: 'bytes=0-9' }).status).toBe(304);
    },
  );

  test('another digest does not', () => {
    expect(respondManifest(manifest, HIT, { method: 'GET', ifNoneMatch: '"sha256:x"' }).status).toBe(200);
  });
});

describe('Cache-Status and Warning', () => {
  test.each([
    [{ outcome: 'hit', ttlSeconds: 240 }, 'entrepot; hit; ttl=240', undefined],
    [{ outcome: 'stale', ttlSeconds: -3600, why: 'stale' }, 'entrepot; hit; ttl=-3600; detail=stale', '299 entrepot "stale"'],
    [{ outcome: 'miss', upstream: 'hub', stored: true }, 'entrepot; fwd=miss; fwd-status=200; stored; detail=hub', undefined],
    [{ outcome: 'collapsed' }, 'entrepot; fwd=miss; collapsed', undefined],
    [{ outcome: 'revalidated', upstream: 'hub' }, 'entrepot; fwd=stale; fwd-status=200; detail=hub', undefined],
    [
      { outcome: 'bypass', why: 'bypass' },
      'entrepot; fwd=bypass',
      '299 entrepot "passed through: the cache cannot keep it now"',
    ],
    [{ outcome: 'bypass', why: 'partial' }, 'entrepot; fwd=partial', undefined],
  ] as const)('%j', (source, status, warning) => {
    const { headers } = respondBlob(content(5), source, { method: 'GET' });
    expect([headers['cache-status'], headers['warning']]).toEqual([status, warning]);
  });
});
