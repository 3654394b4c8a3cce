import { describe, expect, test } from 'vitest';
import { digestOf, parseDigest, type Digest } from '../../../src/oci/digest.ts';
import { parseReference, parseTag, referenceText, referrersTag } from '../../../src/oci/reference.ts';

const sha256 = digestOf(Buffer.from('x'));
const sha512 = digestOf(Buffer.from('x'), 'sha512');

describe('digests', () => {
  test('[P24] sha256 and sha512 are read', () => {
    expect(parseDigest(sha256)).toBe(sha256);
    expect(parseDigest(sha512)).toBe(sha512);
    expect(sha256).toBe('sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881');
  });

  test.each([
    'sha256:baddigeststring',
    'sha256:',
    'sha256',
    '',
    sha256.toUpperCase(),
    sha256.slice(0, -1),
    `${sha256}0`,
    `${sha256}\n`,
    `sha512:${sha256.slice(7)}`,
    `md5:${'0'.repeat(32)}`,
    `sha256:../${'0'.repeat(61)}`,
  ])('[P10] [P11] %j is no digest', (text) => {
    expect(parseDigest(text)).toBeUndefined();
  });
});

describe('references', () => {
  test.each(['latest', 'v1.0', '_', 'A-b_c.d', '__proto__', 'constructor', `sha256-${'0'.repeat(64)}.sig`, 'a'.repeat(128)])(
    '[P9] [P47] %s is a tag',
    (tag) => {
      expect(parseTag(tag)).toBe(tag);
      expect(parseReference(tag)).toEqual({ kind: 'tag', tag });
      expect(referenceText({ kind: 'tag', tag })).toBe(tag);
    },
  );

  test.each(['', '.a', '-a', 'a b', 'a/b', 'a\0', 'latest\n', 'ü', 'a@b', 'a'.repeat(129)])('[P9] %j is none', (text) => {
    expect(parseReference(text)).toBeUndefined();
  });

  test('[P10] what has a colon is a digest or nothing', () => {
    expect(parseReference(sha256)).toEqual({ kind: 'digest', digest: sha256 });
    expect(parseReference('sha256:baddigeststring')).toBeUndefined();
    expect(parseReference('a:b')).toBeUndefined();
    expect(referenceText({ kind: 'digest', digest: sha512 })).toBe(sha512);
  });

  test('[P96] the referrers tag cuts sha512 to 64 digits', () => {
    expect(referrersTag(sha256)).toBe(sha256.replace(':', '-'));
    expect(referrersTag(sha512)).toBe(`sha512-${sha512.slice(7, 7 + 64)}`);
  });

  test('[P96] whatever the digest, the referrers tag is a tag', () => {
    for (const digest of [sha256, sha512] as Digest[]) expect(parseTag(referrersTag(digest))).toBeDefined();
  });
});
