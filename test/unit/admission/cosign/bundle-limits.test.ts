import { describe, expect, test } from 'vitest';
import { isWithinLimits } from '../../../../src/admission/cosign/bundle-limits.ts';

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
const envelope = (name: string, length = 0): string => `log.test\n1\nAAAA\n\n\u2014 ${name} AAAA\n${'x'.repeat(length)}`;
const withEntry = (entry: object): object => ({ tlogEntries: [entry] });
const withProof = (proof: object): object => withEntry({ inclusionProof: proof });
const withNote = (note: string): object => withProof({ checkpoint: { envelope: note } });
const rest = envelope('a').length;

describe('what is looked at', () => {
  test.each<[string, object, object]>([
    ['entries of logs', { tlogEntries: times(8, {}) }, { tlogEntries: times(9, {}) }],
    [
      'timestamps',
      { timestampVerificationData: { rfc3161Timestamps: times(8, { signedTimestamp: '' }) } },
      { timestampVerificationData: { rfc3161Timestamps: times(9, { signedTimestamp: '' }) } },
    ],
    [
      'bytes of a timestamp',
      { timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: 'A'.repeat(32_768) }] } },
      { timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: 'A'.repeat(32_769) }] } },
    ],
    [
      'bytes of a certificate',
      { certificate: { rawBytes: 'A'.repeat(32_768) } },
      { certificate: { rawBytes: 'A'.repeat(32_769) } },
    ],
    [
      'bytes of a certificate in a chain',
      { x509CertificateChain: { certificates: [{ rawBytes: 'A' }] } },
      { x509CertificateChain: { certificates: [{ rawBytes: 'A' }, { rawBytes: 'A'.repeat(32_769) }] } },
    ],
    ['digits of an index', withEntry({ logIndex: '1'.repeat(20) }), withEntry({ logIndex: '1'.repeat(21) })],
    ['what is no index', withEntry({ logIndex: 7 }), withEntry({ logIndex: 7.5 })],
    ['digits of a time', withEntry({ integratedTime: '1' }), withEntry({ integratedTime: '1'.repeat(21) })],
    ['digits of an index in a proof', withProof({ logIndex: '1' }), withProof({ logIndex: '-1' })],
    ['hashes of a proof', withProof({ hashes: times(64, '') }), withProof({ hashes: times(65, '') })],
    ['hashes that are no list', withProof({}), withProof({ hashes: { length: 3 } })],
    ['a proof that is a text', withProof({}), withEntry({ inclusionProof: 'x' })],
    ['length of a checkpoint', withNote(envelope('a', 8192 - rest)), withNote(envelope('a', 8193 - rest))],
    ['a checkpoint that is a list', withNote(''), withProof({ checkpoint: { envelope: ['x'] } })],
    ['a name with something to repeat', withNote(envelope('log.test/a-b_c:1')), withNote(envelope('a+'))],
    ['a second name with something to repeat', withNote(envelope('a')), withNote(`${envelope('a')}\u2014 (a|a)* AAAA\n`)],
  ])('%s: so many, and no more', (_, within, beyond) => {
    expect(isWithinLimits({ verificationMaterial: within })).toBe(true);
    expect(isWithinLimits({ verificationMaterial: beyond })).toBe(false);
  });

  test('what is missing is left to the library', () => {
    expect(isWithinLimits({})).toBe(true);
    expect(isWithinLimits({ verificationMaterial: { tlogEntries: [null, 7, 'x'] } })).toBe(true);
  });
});
