import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readSignedObject } from '../../../../src/admission/cosign/text.ts';
import { MEDIA_TYPE, manifestBlob, descriptorOf, blobOf } from '../../../fakes/images.ts';
import {
  bundleLayer,
  bundleOf,
  envelopeOf,
  payloadOf,
  signatureManifest,
  signWith,
  simpleLayer,
  statementOf,
  type SignatureLayer,
} from '../../../fakes/signatures.ts';
import { byKeys, createRepository, image, judge, signedBy, type Repository } from './repository.ts';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rules = byKeys(pair.publicKey.export({ type: 'spki', format: 'pem' }).toString());
const signBytes = signWith(pair.privateKey);
const signed = (payload: Uint8Array): SignatureLayer => simpleLayer(payload, signBytes(payload));
const payload = payloadOf(image.digest);
const good = signed(payload);
const text = payload.toString();
const withBundle = (bundle: Uint8Array): Repository => {
  const repository = createRepository();
  repository.bundle(bundle);
  return repository;
};
const NO_PAYLOAD = 'what was found as its signature is none: it is no payload of cosign';
const NOTHING = 'no cosign signature of it was found';

test('what these change is let in as it is', async () => {
  expect((await judge(rules, signedBy(good))).kind).toBe('admitted');
});

describe('a payload that was signed, and that two readers could take for two things', () => {
  test.each<[string, string]>([
    [
      'with the digest twice',
      text.replace('"docker-manifest-digest"', '"docker-manifest-digest":"sha256:0","docker-manifest-digest"'),
    ],
    [
      'with the digest twice, written otherwise',
      text.replace('"docker-manifest-digest"', '"docker-manifest-dige\\u0073t":"sha256:0","docker-manifest-digest"'),
    ],
    ['with two that are critical', text.replace('{"critical"', '{"critical":{},"critical"')],
    ['with something critical that nobody knows', text.replace('"type"', '"expires":"2020-01-01","type"')],
    [
      'with more said of the image',
      text.replace('"docker-manifest-digest"', '"platform":"linux/arm64","docker-manifest-digest"'),
    ],
    ['with more said of the identity', text.replace('"docker-reference"', '"tag":"1","docker-reference"')],
    ['of another kind', text.replace('cosign container image signature', 'atomic container signature')],
    ['without a type', text.replace(',"type":"cosign container image signature"', '')],
    ['without an identity', text.replace(/"identity":\{[^}]*\},/, '')],
    ['cut', text.slice(0, -1)],
    ['with something behind it', `${text}{}`],
    ['behind a byte order mark', `\ufeff${text}`],
    ['nested too deep', text.replace('"optional":null', `"optional":${'['.repeat(100)}${']'.repeat(100)}`)],
    ['that is a list', `[${text}]`],
    ['that is a number', '7'],
    ['that is empty', ''],
  ])('%s', async (_, changed) => {
    expect(changed).not.toBe(text);
    expect(await judge(rules, signedBy(signed(Buffer.from(changed))))).toEqual({ kind: 'refused', reason: NO_PAYLOAD });
  });

  test('what a signer adds beside what is critical is theirs', async () => {
    const added = Buffer.from(text.replace('"optional":null', '"optional":{"a":"1","A":"2"},"more":[]'));
    expect((await judge(rules, signedBy(signed(added)))).kind).toBe('admitted');
  });
});

describe('a signature beside a payload', () => {
  const beside = (signature: string | undefined): SignatureLayer => ({
    ...good,
    annotations: signature === undefined ? {} : { 'dev.cosignproject.cosign/signature': signature },
  });
  const valid = signBytes(payload).toString('base64');
  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ['one that is not base64', `${valid.slice(0, -4)}!!!=`],
    ['one with its padding in the middle', `AA==${valid}`],
    ['one in lines', `${valid.slice(0, 40)}\n${valid.slice(40)}`],
    ['one for URLs', `${valid.slice(0, 8)}-_-_${valid.slice(8)}`],
  ])('%s is said to be missing', async (_, signature) => {
    expect((await judge(rules, signedBy(beside(signature)))).reason).toBe(
      'what was found as its signature is none: no signature stands beside it',
    );
  });

  test('one of a megabyte is just wrong', async () => {
    expect((await judge(rules, signedBy(beside('A'.repeat(1 << 20))))).reason).toBe(
      'it is signed, but by none of the configured keys',
    );
  });
});

describe('a manifest behind the tag', () => {
  const bytesOf = (manifest: object): Repository => {
    const repository = createRepository();
    const { blobs } = signatureManifest([good]);
    repository.tag({ manifest: manifestBlob(MEDIA_TYPE.ociManifest, { ...manifest }), blobs });
    return repository;
  };
  const layer = { ...descriptorOf(good.blob, good.mediaType), annotations: good.annotations };

  test.each<[string, object]>([
    ['that is an index', { mediaType: MEDIA_TYPE.ociIndex, manifests: [layer], layers: [layer] }],
    ['with layers of another type', { layers: [{ ...layer, mediaType: MEDIA_TYPE.ociLayer }] }],
    ['with layers that are no list', { layers: { 0: layer } }],
    ['with layers that are no descriptors', { layers: [7, null, 'sha256:0', []] }],
    ['with a layer of a size below nothing', { layers: [{ ...layer, size: -1 }] }],
    ['with a layer of no digest', { layers: [{ ...layer, digest: '../../etc/passwd' }] }],
    ['that is nothing else', {}],
  ])('%s holds no signature', async (_, manifest) => {
    const repository = bytesOf(manifest);
    expect(await judge(rules, repository)).toEqual({ kind: 'refused', reason: NOTHING });
    expect(repository.asked.some((each) => each.startsWith('blob'))).toBe(false);
  });

  test('that is not JSON holds none', async () => {
    const repository = createRepository();
    repository.tag({ manifest: { ...blobOf(Buffer.from('<html>')), mediaType: MEDIA_TYPE.ociManifest }, blobs: [] });
    expect((await judge(rules, repository)).reason).toBe(NOTHING);
  });

  test('whose annotations are no text has none of them', async () => {
    const odd = { ...layer, annotations: { 'dev.cosignproject.cosign/signature': ['x'] } };
    expect((await judge(rules, bytesOf({ layers: [odd] }))).kind).toBe('refused');
  });

  test('that promises too much is not fetched, and one that promises too little is cut short', async () => {
    const promised = bytesOf({ layers: [{ ...layer, size: 262_145 }] });
    expect((await judge(rules, promised)).reason).toContain('longer than signatures are');
    expect(promised.asked.some((each) => each.startsWith('blob'))).toBe(false);
    const short = bytesOf({ layers: [{ ...layer, size: 10 }] });
    short.swap(good.blob.digest, Buffer.concat([payload, Buffer.alloc(262_144, ' ')]));
    expect((await judge(rules, short)).reason).toContain('longer than signatures are');
  });

  test('with other bytes under its digest is not believed', async () => {
    const repository = signedBy(good);
    repository.swap(good.blob.digest, payloadOf(image.digest, { identity: { 'docker-reference': 'x' } }));
    expect((await judge(rules, repository)).reason).toBe('it is signed, but by none of the configured keys');
  });
});

describe('how many are looked at', () => {
  const bad = Array.from({ length: 60 }, (_, at) =>
    simpleLayer(payloadOf(image.digest, { identity: { 'docker-reference': String(at) } }), Buffer.from('no')),
  );

  test.each([
    [49, 'admitted'],
    [50, 'refused'],
  ])('[CVE-2023-33958] behind %i others in a manifest: %s', async (before, kind) => {
    const repository = signedBy(...bad.slice(0, before), good);
    expect((await judge(rules, repository)).kind).toBe(kind);
    expect(repository.asked.filter((each) => each.startsWith('blob'))).toHaveLength(50);
  });

  test.each([
    [49, 'admitted'],
    [50, 'refused'],
  ])('behind %i others by referrers: %s', async (before, kind) => {
    const repository = createRepository();
    for (const layer of [...bad.slice(0, before), good])
      repository.refer(signatureManifest([layer]), { artifactType: 'application/vnd.dev.cosign.artifact.sig.v1+json' });
    expect((await judge(rules, repository)).kind).toBe(kind);
    expect(repository.asked.filter((each) => each.startsWith('digest'))).toHaveLength(50);
  });

  test('what is listed twice is looked at once', async () => {
    const repository = createRepository();
    const held = signatureManifest([bundleLayer(Buffer.from('{}'))]);
    for (let times = 0; times < 5; times++) repository.refer(held);
    await judge(rules, repository);
    expect(repository.asked.filter((each) => each.startsWith('digest'))).toHaveLength(1);
  });
});

describe('a bundle', () => {
  const dsseEnvelope = envelopeOf(statementOf(image.digest), signBytes);
  const messageSignature = {
    messageDigest: { algorithm: 'SHA2_256', digest: Buffer.from(image.digest.slice(7), 'hex').toString('base64') },
    signature: signBytes(image.bytes).toString('base64'),
  };
  const statement = statementOf(image.digest).toString();
  const envelope = (changed: string): Buffer => bundleOf({ dsseEnvelope: envelopeOf(Buffer.from(changed), signBytes) });

  test('as it is, is let in', async () => {
    expect((await judge(rules, withBundle(bundleOf({ dsseEnvelope })))).kind).toBe('admitted');
    expect((await judge(rules, withBundle(bundleOf({ messageSignature })))).kind).toBe('admitted');
  });

  test.each<[string, Buffer]>([
    ['with two contents', bundleOf({ dsseEnvelope, messageSignature })],
    ['with none', bundleOf({})],
    ['whose envelope is a text', bundleOf({ dsseEnvelope: 'x' })],
    ['without material', Buffer.from(JSON.stringify({ dsseEnvelope }))],
    [
      'with a key twice',
      Buffer.from(bundleOf({ dsseEnvelope }).toString().replace('"payload":', '"payload":"e30=","payload":')),
    ],
    [
      'with two signatures',
      bundleOf({
        dsseEnvelope: { ...dsseEnvelope, signatures: [...(dsseEnvelope['signatures'] as object[]), { sig: 'AAAA' }] },
      }),
    ],
    ['with no signature', bundleOf({ dsseEnvelope: { ...dsseEnvelope, signatures: [] } })],
    ['of another payload type', bundleOf({ dsseEnvelope: { ...dsseEnvelope, payloadType: 'text/plain' } })],
    ['whose payload is no base64', bundleOf({ dsseEnvelope: { ...dsseEnvelope, payload: '%' } })],
    ['whose statement has two subjects lists', envelope(statement.replace('"subject"', '"subject":[],"subject"'))],
    ['whose statement is a list', envelope('[]')],
    [
      'whose statement is of another image, by its last subject too',
      envelope(statement.replace(image.digest.slice(7), '0'.repeat(64))),
    ],
    [
      'whose subject has its digest in capitals',
      envelope(statement.replace(image.digest.slice(7), image.digest.slice(7).toUpperCase())),
    ],
    ['whose subject is a text', envelope(statement.replace(/"subject":\[.*?\}\}\]/, `"subject":["${image.digest}"]`))],
    ['that is nothing', Buffer.alloc(0)],
    ['that is cut', bundleOf({ dsseEnvelope }).subarray(0, -1)],
  ])('%s is refused', async (_, bundle) => {
    expect((await judge(rules, withBundle(bundle))).kind).toBe('refused');
  });

  test('that is longer than signatures are is not fetched', async () => {
    const repository = withBundle(Buffer.concat([bundleOf({ dsseEnvelope }), Buffer.alloc(300_000, ' ')]));
    expect((await judge(rules, repository)).reason).toContain('longer than signatures are');
    expect(repository.asked.some((each) => each.startsWith('blob'))).toBe(false);
  });

  test('with an image among several subjects is a signature of it', async () => {
    const several = statement.replace('"subject":[', '"subject":[{"digest":{"sha256":"00"}},');
    expect((await judge(rules, withBundle(envelope(several)))).kind).toBe('admitted');
  });
});

describe('what is long', () => {
  const members = (count: number): string => Array.from({ length: count }, (_, at) => `"${at}":0`).join(',');

  test('is read as long as it has no more members than anything that is signed', () => {
    // Two separators a member, but for the last.
    expect(readSignedObject(Buffer.from(`{${members(10_000)}}`))).toBeDefined();
    expect(readSignedObject(Buffer.from(`{${members(10_001)}}`))).toBeUndefined();
    expect(readSignedObject(Buffer.from(JSON.stringify({ payload: 'A'.repeat(4_000_000) })))).toBeDefined();
  });

  test('an attestation may be, since nobody reads it', async () => {
    const long = Buffer.from(
      statementOf(image.digest, { predicateType: 'x', predicate: '@' })
        .toString()
        .replace('"@"', `{${members(100_000)}}`),
    );
    const made = signatureManifest([bundleLayer(bundleOf({ dsseEnvelope: envelopeOf(long, signBytes) }))]);
    const repository = createRepository();
    repository.refer(made);
    expect((await judge(rules, repository, made.manifest)).kind).toBe('admitted');
  });
});

describe('a manifest that holds a signature of its own', () => {
  const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const elsewhere = payloadOf(image.digest, { identity: { 'docker-reference': 'elsewhere.test/app' } });
  const foreign = simpleLayer(elsewhere, signWith(theirs.privateKey)(elsewhere));
  const chart = { blob: blobOf(Buffer.from('a chart')), mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip' };
  const held = async (...layers: readonly SignatureLayer[]): Promise<string> => {
    const made = signatureManifest(layers);
    const repository = createRepository();
    repository.tag(made);
    return (await judge(rules, repository, made.manifest)).kind;
  };

  test('is let in beside those of others', async () => {
    expect(await held(good)).toBe('admitted');
    expect(await held(foreign, good)).toBe('admitted');
    expect(await held(foreign)).toBe('refused');
  });

  test.each<[string, readonly SignatureLayer[]]>([
    ['a chart beside it', [good, chart]],
    ['a layer beside it that is none', [good, { ...good, mediaType: 'no media type' }]],
    ['no layer at all', []],
  ])('is not with %s', async (_, layers) => {
    expect(await held(...layers)).toBe('refused');
  });

  test('is neither let in nor refused where one of several could not be read', async () => {
    const made = signatureManifest([good, foreign]);
    const repository = createRepository();
    repository.tag(made);
    const blob: typeof repository.blob = async (place, digest, ...rest) => {
      if (digest === foreign.blob.digest) throw new Error('no upstream could be asked');
      return repository.blob(place, digest, ...rest);
    };
    const other = { ...repository, blob };
    await expect(judge(rules, other, made.manifest)).rejects.toThrow('no upstream could be asked');
  });
});

test('an image that calls its layers signatures is no signature', async () => {
  // Some clients unpack layers whatever they are called.
  const tar = { ...good, blob: blobOf(Buffer.from('a layer')) };
  const disguised = signatureManifest([tar]);
  const repository = createRepository();
  repository.tag(disguised);
  expect((await judge(rules, repository, disguised.manifest)).kind).toBe('refused');
});
