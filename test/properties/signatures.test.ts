import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { repeatsKey } from '../../src/oci/json-scan.ts';
import { createFakeSigstore, ISSUER, SUBJECT } from '../fakes/fake-sigstore.ts';
import { bundleOf, envelopeOf, keylessBundle, payloadOf, signWith, simpleLayer, statementOf } from '../fakes/signatures.ts';
import { byKeys, createRepository, image, judge, signedBy } from '../unit/admission/cosign/repository.ts';

/** The whole run is `ENTREPOT_ACCEPT=full`. */
const RUNS = process.env['ENTREPOT_ACCEPT'] === 'full' ? 20_000 : 300;
vi.setConfig({ testTimeout: RUNS > 1000 ? 900_000 : 60_000 });

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signBytes = signWith(pair.privateKey);
const rules = byKeys(pair.publicKey.export({ type: 'spki', format: 'pem' }).toString());

/** Bytes, changed at some places. */
const changed = (bytes: Uint8Array) =>
  fc
    .array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 })
    .map((changes) => {
      const other = Buffer.from(bytes);
      for (const [at, by] of changes) other[at]! ^= by;
      return other;
    })
    .filter((other) => !other.equals(bytes));

test('no payload that was changed is let in by the signature of the one before', async () => {
  const payload = payloadOf(image.digest);
  const signature = signBytes(payload);
  expect((await judge(rules, signedBy(simpleLayer(payload, signature)))).kind).toBe('admitted');
  await fc.assert(
    fc.asyncProperty(changed(payload), async (other) => {
      expect((await judge(rules, signedBy(simpleLayer(other, signature)))).kind).toBe('refused');
    }),
    { numRuns: RUNS },
  );
});

test('no payload lets in by a signature that was changed', async () => {
  const payload = payloadOf(image.digest);
  await fc.assert(
    fc.asyncProperty(changed(signBytes(payload)), async (signature) => {
      expect((await judge(rules, signedBy(simpleLayer(payload, signature)))).kind).toBe('refused');
    }),
    { numRuns: RUNS },
  );
});

/** What is signed of a bundle: the rest may be written in many ways. */
const meaningOf = (bundle: Uint8Array): unknown => {
  const { dsseEnvelope: envelope } = JSON.parse(Buffer.from(bundle).toString()) as {
    dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
  };
  const decoded = [envelope.payload, ...envelope.signatures.map(({ sig }) => sig)].map((text) => Buffer.from(text, 'base64'));
  return [envelope.payloadType, ...decoded.map((bytes) => bytes.toString('hex'))];
};

const sigstore = createFakeSigstore();
const keyless = { keys: [], identities: [{ issuer: ISSUER, subject: SUBJECT }], trustedRoot: sigstore.trustedRoot };

test.each([
  ['a key', rules, bundleOf({ dsseEnvelope: envelopeOf(statementOf(image.digest), signBytes) })],
  ['a certificate', keyless, keylessBundle(sigstore, sigstore.certify(), statementOf(image.digest))],
] as const)('a bundle by %s that was changed lets in only where what is signed was not', async (_, by, bundle) => {
  await fc.assert(
    fc.asyncProperty(changed(bundle), async (other) => {
      const repository = createRepository();
      repository.bundle(other);
      const { kind } = await judge(by, repository);
      expect(kind === 'refused' || JSON.stringify(meaningOf(other)) === JSON.stringify(meaningOf(bundle))).toBe(true);
    }),
    { numRuns: RUNS },
  );
});

test('a key that stands twice in one object is found, wherever that is, and no other', () => {
  /** JSON whose objects say whether one of their keys stands twice. */
  const json = fc.letrec<{ value: { text: string; twice: boolean } }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(null)).map((leaf) => ({
        text: JSON.stringify(leaf),
        twice: false,
      })),
      fc.array(tie('value'), { maxLength: 4 }).map((list) => ({
        text: `[ ${list.map(({ text }) => text).join(' , ')} ]`,
        twice: list.some(({ twice }) => twice),
      })),
      fc
        .array(fc.tuple(fc.constantFrom('a', 'b', 'é', '"', '{', 'a,b', ''), fc.boolean(), tie('value')), { maxLength: 4 })
        .map((entries) => ({
          text: `{${entries.map(([key, escaped, { text }]) => `${escaped ? escape(key) : JSON.stringify(key)}: ${text}`).join(',')}}`,
          twice: new Set(entries.map(([key]) => key)).size < entries.length || entries.some(([, , { twice }]) => twice),
        })),
    ),
  })).value;
  fc.assert(
    fc.property(json, ({ text, twice }) => {
      JSON.parse(text);
      expect(repeatsKey(Buffer.from(text))).toBe(twice);
    }),
    { numRuns: RUNS * 10 },
  );
});

function escape(key: string): string {
  return `"${[...Array(key.length).keys()].map((at) => `\\u${key.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`;
}
