import { expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.ts';
import { createReadyReply } from '../../../src/pull/ready-reply.ts';
import type { ReadyContent } from '../../../src/pull/ready.ts';

const BYTES = Buffer.from('{}');
const CONTENT: ReadyContent = {
  digest: digestOf(BYTES, 'sha256'),
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  bytes: BYTES,
  source: { outcome: 'hit' },
};

test('headers of the same bytes are made once, and cannot be changed', () => {
  const reply = createReadyReply();
  const { headers, body } = reply(CONTENT, 'GET', undefined);
  expect(headers).toEqual({
    'docker-content-digest': CONTENT.digest,
    etag: `"${CONTENT.digest}"`,
    'cache-status': 'entrepot; hit',
    'content-type': CONTENT.mediaType,
    'content-length': '2',
  });
  expect(body).toEqual({ kind: 'bytes', bytes: BYTES });
  expect(Object.isFrozen(headers)).toBe(true);
  const head = reply({ ...CONTENT }, 'HEAD', undefined);
  expect([head.headers === headers, head.body]).toEqual([true, { kind: 'none' }]);
});

test.each<[string, Partial<ReadyContent>, string | undefined, Record<string, string>]>([
  ['another type', { mediaType: 'text/plain' }, undefined, { 'content-type': 'text/plain' }],
  ['no type', { mediaType: undefined }, undefined, { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' }],
  ['another age', { source: { outcome: 'hit', ttlSeconds: 7 } }, undefined, { 'cache-status': 'entrepot; hit; ttl=7' }],
  ['a namespace', {}, 'quay.io', { 'oci-namespace': 'quay.io' }],
])('%s is said, and nobody else is told of it', (_what, more, ns, said) => {
  const reply = createReadyReply();
  const before = reply(CONTENT, 'GET', undefined).headers;
  expect(reply({ ...CONTENT, ...more }, 'GET', ns).headers).toMatchObject(said);
  expect(reply(CONTENT, 'GET', undefined).headers).toEqual(before);
});
