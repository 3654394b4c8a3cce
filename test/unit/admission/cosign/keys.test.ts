import { constants, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSigned } from '../../../../src/admission/signed.ts';
import {
  bundleOf,
  envelopeOf,
  payloadOf,
  signatureManifest,
  signWith,
  simpleLayer,
  statementOf,
  type SignBytes,
} from '../../../fakes/signatures.ts';
import { byKeys, createRepository, image, judge, other, signedBy } from './repository.ts';

const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();
const ours = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rules = byKeys(pem(ours.publicKey));
const payload = payloadOf(image.digest);
const sha256 = Buffer.from(image.digest.slice(7), 'hex').toString('base64');
const messageBundle = (signBytes: SignBytes, digest = sha256, algorithm = 'SHA2_256'): Buffer =>
  bundleOf({
    messageSignature: { messageDigest: { algorithm, digest }, signature: signBytes(image.bytes).toString('base64') },
  });
const statementBundle = (signBytes: SignBytes, statement = statementOf(image.digest)): Buffer =>
  bundleOf({ dsseEnvelope: envelopeOf(statement, signBytes) });

describe('a signature by a key', () => {
  test('behind the tag of the digest lets the image in, and says by which key', async () => {
    const repository = signedBy(simpleLayer(payload, signWith(ours.privateKey)(payload)));
    expect(await judge(rules, repository)).toEqual({
      kind: 'admitted',
      reason: expect.stringMatching(/^it is signed by the key [0-9a-f]{12}$/),
    });
    expect(repository.asked[0]).toBe(`tag sha256-${image.digest.slice(7)}.sig`);
    expect(repository.asked).toHaveLength(2);
  });

  test.each([
    ['a statement', statementBundle(signWith(ours.privateKey))],
    ['a message', messageBundle(signWith(ours.privateKey))],
    [
      'an older statement',
      statementBundle(signWith(ours.privateKey), statementOf(image.digest, { type: 'https://in-toto.io/Statement/v0.1' })),
    ],
  ])('in a bundle that refers to the image and holds %s does too', async (_, bundle) => {
    const repository = createRepository();
    repository.bundle(bundle);
    expect((await judge(rules, repository)).kind).toBe('admitted');
  });

  test("in cosign's own kind of referrer does too", async () => {
    const repository = createRepository();
    const artifactType = 'application/vnd.dev.cosign.artifact.sig.v1+json';
    repository.refer(signatureManifest([simpleLayer(payload, signWith(ours.privateKey)(payload))]), { artifactType });
    expect((await judge(rules, repository)).kind).toBe('admitted');
  });

  test('of several is enough, whoever made the others', async () => {
    const layers = [theirs, ours].map(({ privateKey }) => simpleLayer(payload, signWith(privateKey)(payload)));
    expect((await judge(rules, signedBy(...layers))).kind).toBe('admitted');
  });

  test('by any of several keys is enough', async () => {
    const repository = signedBy(simpleLayer(payload, signWith(ours.privateKey)(payload)));
    expect((await judge(byKeys(pem(theirs.publicKey), pem(ours.publicKey)), repository)).kind).toBe('admitted');
  });

  test('made for the same digest under another name counts', async () => {
    const elsewhere = payloadOf(image.digest, { identity: { 'docker-reference': 'elsewhere.test/other' } });
    const repository = signedBy(simpleLayer(elsewhere, signWith(ours.privateKey)(elsewhere)));
    expect((await judge(rules, repository)).kind).toBe('admitted');
  });

  test('lets the manifest in that holds it, and one that holds an attestation, so that clients can check them', async () => {
    const held = signatureManifest([simpleLayer(payload, signWith(ours.privateKey)(payload))]);
    const repository = createRepository();
    repository.tag(held);
    expect((await judge(rules, repository, held.manifest)).reason).toMatch(/^it holds a signature or attestation by the key/);
    const statement = statementOf(image.digest, { predicateType: 'https://cyclonedx.org/bom' });
    const envelope = Buffer.from(JSON.stringify(envelopeOf(statement, signWith(ours.privateKey))));
    const attested = { ...simpleLayer(envelope, Buffer.alloc(0)), mediaType: 'application/vnd.dsse.envelope.v1+json' };
    const attestation = signatureManifest([attested]);
    repository.refer(attestation);
    expect((await judge(rules, repository, attestation.manifest)).kind).toBe('admitted');
    expect((await judge(byKeys(pem(theirs.publicKey)), repository, attestation.manifest)).kind).toBe('refused');
  });
});

test.each([
  ['of another type', 'application/vnd.oci.image.layer.v1.tar+gzip'],
  ['that says it is a signature', 'application/vnd.dev.cosign.simplesigning.v1+json'],
])('a signature of something else lets in no image that has it beside a layer %s', async (_, mediaType) => {
  const signature = simpleLayer(payload, signWith(ours.privateKey)(payload));
  const files = { ...simpleLayer(Buffer.from('./bin/sh\0\0\0'), Buffer.from('x')), mediaType };
  for (const layers of [
    [signature, files],
    [files, signature],
    [...Array.from({ length: 50 }, () => signature), files],
  ]) {
    const smuggler = signatureManifest(layers);
    const repository = createRepository();
    repository.refer(smuggler);
    expect((await judge(rules, repository, smuggler.manifest)).kind).toBe('refused');
  }
});

describe('kinds of keys', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed25519 = generateKeyPairSync('ed25519');
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  const hashed =
    (hash: string | null, key: KeyObject): SignBytes =>
    (bytes) =>
      sign(hash, bytes, key);

  test.each<[string, KeyObject, SignBytes]>([
    ['RSA with PKCS #1', rsa.publicKey, hashed('sha256', rsa.privateKey)],
    ['RSA with PSS', rsa.publicKey, (bytes) => sign('sha256', bytes, { key: rsa.privateKey, ...pss })],
    ['Ed25519', ed25519.publicKey, hashed(null, ed25519.privateKey)],
    ['P-384, hashed as ever', p384.publicKey, hashed('sha256', p384.privateKey)],
    ["P-384, by the curve's own hash", p384.publicKey, hashed('sha384', p384.privateKey)],
    ["P-521, by the curve's own hash", p521.publicKey, hashed('sha512', p521.privateKey)],
  ])('%s counts, and nothing near it', async (_, publicKey, signBytes) => {
    const signature = signBytes(payload);
    expect((await judge(byKeys(pem(publicKey)), signedBy(simpleLayer(payload, signature)))).kind).toBe('admitted');
    const cut = signedBy(simpleLayer(payload, signature.subarray(0, -1)));
    expect((await judge(byKeys(pem(publicKey)), cut)).kind).toBe('refused');
    const turned = Buffer.from(signature);
    turned[turned.length - 1]! ^= 1;
    expect((await judge(byKeys(pem(publicKey)), signedBy(simpleLayer(payload, turned)))).kind).toBe('refused');
  });

  test('weak hashes do not count', async () => {
    const sha1 = simpleLayer(payload, sign('sha1', payload, rsa.privateKey));
    expect((await judge(byKeys(pem(rsa.publicKey)), signedBy(sha1))).kind).toBe('refused');
  });
});

describe('what is refused, in words', () => {
  const signature = signWith(ours.privateKey)(payload);

  test('an image that nobody signed', async () => {
    expect(await judge(rules, createRepository())).toEqual({
      kind: 'refused',
      reason: 'no cosign signature of it was found',
    });
  });

  test('one that somebody else signed, either way', async () => {
    const repository = signedBy(simpleLayer(payload, signWith(theirs.privateKey)(payload)));
    repository.bundle(statementBundle(signWith(theirs.privateKey)));
    expect(await judge(rules, repository)).toEqual({
      kind: 'refused',
      reason: 'it is signed, but by none of the configured keys',
    });
    expect(repository.asked.filter((each) => each.startsWith('blob'))).toHaveLength(2);
  });

  const foreign = payloadOf(other.digest);
  test.each<[string, ReturnType<typeof simpleLayer>]>([
    ['the signature of another image', simpleLayer(foreign, signWith(ours.privateKey)(foreign))],
  ])('%s', async (_, layer) => {
    expect(await judge(rules, signedBy(layer))).toEqual({
      kind: 'refused',
      reason: 'it has signatures, but they are of something else',
    });
  });

  test('a signature whose payload was exchanged', async () => {
    const repository = signedBy(simpleLayer(foreign, signature));
    expect((await judge(rules, repository)).kind).toBe('refused');
    const back = signedBy(simpleLayer(payload, signWith(ours.privateKey)(foreign)));
    expect((await judge(rules, back)).reason).toBe('it is signed, but by none of the configured keys');
  });

  test.each<[string, Buffer]>([
    ['of another image', statementBundle(signWith(ours.privateKey), statementOf(other.digest))],
    [
      'that is a list of what is in it',
      statementBundle(signWith(ours.privateKey), statementOf(image.digest, { predicateType: 'https://cyclonedx.org/bom' })),
    ],
    [
      'of another kind of statement',
      statementBundle(signWith(ours.privateKey), statementOf(image.digest, { type: 'https://in-toto.io/Statement/v9' })),
    ],
    ['over another message', messageBundle(signWith(ours.privateKey), Buffer.alloc(32).toString('base64'))],
  ])('a bundle %s', async (_, bundle) => {
    const repository = createRepository();
    repository.bundle(bundle);
    expect(await judge(rules, repository)).toEqual({
      kind: 'refused',
      reason: 'it has signatures, but they are of something else',
    });
  });

  test('an attestation is not even fetched where its descriptor says that it is one', async () => {
    const repository = createRepository();
    const annotations = { 'dev.sigstore.bundle.predicateType': 'https://cyclonedx.org/bom' };
    repository.bundle(statementBundle(signWith(ours.privateKey)), { annotations });
    expect((await judge(rules, repository)).reason).toBe('no cosign signature of it was found');
    expect(repository.asked.map((each) => each.split(' ')[0])).toEqual(['tag', 'referrers']);
  });

  test('a message that lies about its algorithm', async () => {
    const repository = createRepository();
    repository.bundle(messageBundle(signWith(ours.privateKey), sha256, 'SHA2_512'));
    expect((await judge(rules, repository)).reason).toBe(
      'what was found as its signature is none: it is a bundle whose message cannot be read',
    );
  });
});

describe('what could not be found out', () => {
  const good = simpleLayer(payload, signWith(ours.privateKey)(payload));
  const strange = simpleLayer(payload, signWith(theirs.privateKey)(payload));

  test.each(['tag', 'referrers', 'digest', 'blob'])('is neither yes nor no: %s', async (what) => {
    const repository = signedBy(strange);
    repository.bundle(statementBundle(signWith(theirs.privateKey)));
    expect((await judge(rules, repository)).kind).toBe('refused');
    repository.fail(what);
    await expect(judge(rules, repository)).rejects.toThrow(`${what}: no upstream could be asked`);
  });

  test('does not matter where a valid signature is found elsewhere', async () => {
    const repository = signedBy(good);
    repository.bundle(statementBundle(signWith(ours.privateKey)));
    repository.fail('tag');
    expect((await judge(rules, repository)).kind).toBe('admitted');
    const other = signedBy(good);
    other.fail('referrers');
    expect((await judge(rules, other)).kind).toBe('admitted');
  });

  test('of what a manifest holds itself is neither yes nor no', async () => {
    const held = signatureManifest([good]);
    const repository = createRepository();
    repository.tag(held);
    repository.fail('blob');
    await expect(judge(rules, repository, held.manifest)).rejects.toThrow('blob: no upstream could be asked');
  });

  test('a payload that is not there is no signature', async () => {
    const repository = signedBy(good);
    repository.remove(good.blob.digest);
    expect((await judge(rules, repository)).reason).toBe(
      'what was found as its signature is none: it is not there, or longer than signatures are',
    );
  });
});

describe('the fingerprint', () => {
  const of = (changed: Partial<ReturnType<typeof byKeys>> = {}): string =>
    createSigned({ ...rules, ...changed, store: createRepository() }).fingerprint;
  const identity = { issuer: 'https://issuer.test', subject: 'a*' };

  test('changes with keys, identities and the trusted root, and with nothing else', () => {
    const both = [pem(ours.publicKey), pem(theirs.publicKey)];
    expect(of()).toBe(of());
    expect(of({ keys: both })).toBe(of({ keys: both.toReversed() }));
    const all = [
      of(),
      of({ keys: both }),
      of({ identities: [identity] }),
      of({ identities: [{ ...identity, subject: 'b' }] }),
      of({ trustedRoot: '{}' }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
