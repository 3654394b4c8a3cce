import { describe, expect, test } from 'vitest';
import { createFakeSigstore, ISSUER, SIGNED_AT, SUBJECT, type Certified } from '../../../fakes/fake-sigstore.ts';
import {
  bundleOf,
  hashedRekord,
  keylessBundle,
  keylessLayer,
  payloadOf,
  signatureManifest,
  signWith,
  simpleLayer,
  statementOf,
} from '../../../fakes/signatures.ts';
import { createRepository, image, judge, other, signedBy, type Repository, type Rules } from './repository.ts';

const sigstore = createFakeSigstore();
const identity = { issuer: ISSUER, subject: SUBJECT };
const rules: Rules = { keys: [], identities: [identity], trustedRoot: sigstore.trustedRoot };
const payload = payloadOf(image.digest);
const statement = statementOf(image.digest);
const LATER = new Date(SIGNED_AT.getTime() + 3_600_000);

const withBundle = (bundle: Buffer): Repository => {
  const repository = createRepository();
  repository.bundle(bundle);
  return repository;
};
const NOBODY = { kind: 'refused', reason: 'it is signed, but by none of the configured identities' };

/** What tests change of a bundle. */
interface Json {
  verificationMaterial: {
    certificate: { rawBytes: string };
    tlogEntries: Entry[];
    timestampVerificationData?: { rfc3161Timestamps: object[] };
  };
  dsseEnvelope: { signatures: object[] };
}

interface Entry {
  integratedTime: string;
  inclusionPromise?: object;
  inclusionProof?: Proof;
}

interface Proof {
  logIndex: string;
  hashes: string[];
  checkpoint: { envelope: string };
}

const parsed = (bundle: Buffer): Json => JSON.parse(bundle.toString()) as Json;
const changed = (bundle: Buffer, change: (json: Json) => void): Buffer => {
  const json = parsed(bundle);
  change(json);
  return Buffer.from(JSON.stringify(json));
};
const entryOf = (json: Json): Entry => json.verificationMaterial.tlogEntries[0]!;
const proofOf = (json: Json): Proof => entryOf(json).inclusionProof!;

describe('a signature by a certificate', () => {
  test.each<[string, (who: Certified) => Repository]>([
    ["in cosign's older format", (who) => signedBy(keylessLayer(sigstore, who, payload))],
    ['in a bundle with a statement', (who) => withBundle(keylessBundle(sigstore, who, statement))],
    ['in a bundle with a message', (who) => withBundle(messageBundle(who))],
  ])('lets the image in, %s, and says whose', async (_, put) => {
    expect(await judge(rules, put(sigstore.certify()))).toEqual({
      kind: 'admitted',
      reason: `it is signed by ${SUBJECT} (${ISSUER})`,
    });
  });

  test('may be that of an e-mail address', async () => {
    const repository = signedBy(keylessLayer(sigstore, sigstore.certify({ subject: 'ann@acme.test' }), payload));
    const ann = { ...rules, identities: [{ issuer: ISSUER, subject: '*@acme.test' }] };
    expect((await judge(ann, repository)).kind).toBe('admitted');
  });

  test('lets the manifest in that holds it', async () => {
    const held = signatureManifest([keylessLayer(sigstore, sigstore.certify(), payload)]);
    const repository = createRepository();
    repository.tag(held);
    expect((await judge(rules, repository, held.manifest)).kind).toBe('admitted');
  });

  test.each([
    ['exactly', SUBJECT, true],
    ['by a star at its end', 'https://ci.test/acme/*', true],
    ['by stars around', '*acme*heads/main', true],
    ['by a star for nothing', `${SUBJECT}*`, true],
    ['by a star alone', '*', true],
    ['not by its beginning alone', 'https://ci.test/acme/', false],
    ['not by its end alone', 'refs/heads/main', false],
    ['not by what has to come twice', '*main*main', false],
    ['not in other letters', SUBJECT.toUpperCase(), false],
    ['not as a regular expression', 'https://.*', false],
  ])('fits a subject %s', async (_, subject, fits) => {
    const repository = signedBy(keylessLayer(sigstore, sigstore.certify(), payload));
    const answer = await judge({ ...rules, identities: [{ issuer: ISSUER, subject }] }, repository);
    expect(answer.kind).toBe(fits ? 'admitted' : 'refused');
  });

  test('of somebody else is refused with who that is', async () => {
    const repository = signedBy(keylessLayer(sigstore, sigstore.certify({ subject: 'https://ci.test/evil' }), payload));
    expect(await judge(rules, repository)).toEqual({
      kind: 'refused',
      reason: `it is signed by https://ci.test/evil (${ISSUER}), and by none of the configured identities`,
    });
  });

  test('whose issuer is another is refused, whatever its subject', async () => {
    const repository = signedBy(keylessLayer(sigstore, sigstore.certify({ issuer: 'https://evil.test' }), payload));
    expect((await judge(rules, repository)).kind).toBe('refused');
  });

  test('does not count without identities, nor a key for one with them', async () => {
    const repository = signedBy(keylessLayer(sigstore, sigstore.certify(), payload));
    expect((await judge({ ...rules, identities: [] }, repository)).kind).toBe('refused');
  });
});

function messageBundle(who: Certified): Buffer {
  const signature = signWith(who.key)(image.bytes);
  const entry = sigstore.log(hashedRekord(image.bytes, signature, who), 'proof');
  const digest = Buffer.from(image.digest.slice(7), 'hex').toString('base64');
  return bundleOf(
    { messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest }, signature: signature.toString('base64') } },
    { certificate: { rawBytes: who.certificate.toString('base64') }, tlogEntries: [entry] },
  );
}

describe('whom the trusted root cannot tell of', () => {
  const stranger = createFakeSigstore();
  const bundle = keylessBundle(sigstore, sigstore.certify(), statement);

  test.each<[string, () => Repository]>([
    ['a certificate of another authority', () => signedBy(keylessLayer(sigstore, stranger.certify(), payload))],
    ['an entry of another log', () => signedBy(keylessLayer(stranger, sigstore.certify(), payload))],
    ['a certificate that was in no log', () => signedBy(keylessLayer(sigstore, sigstore.certify({ logged: false }), payload))],
    [
      'a certificate for something else',
      () => signedBy(keylessLayer(sigstore, sigstore.certify({ codeSigning: false }), payload)),
    ],
    ['a signature after the certificate had ended', () => signedBy(keylessLayer(sigstore, sigstore.certify(), payload, LATER))],
    [
      'one that was in no log',
      () =>
        signedBy(
          simpleLayer(payload, signWith(sigstore.certify().key)(payload), {
            'dev.sigstore.cosign/certificate': sigstore.certify().pem,
          }),
        ),
    ],
    [
      "another's signature beside the certificate",
      () => {
        const layer = keylessLayer(sigstore, sigstore.certify(), payload);
        return signedBy({
          ...layer,
          annotations: { ...layer.annotations, 'dev.sigstore.cosign/certificate': sigstore.certify().pem },
        });
      },
    ],
    [
      'a log entry of another image',
      () => {
        const who = sigstore.certify();
        const foreign = keylessLayer(sigstore, who, payloadOf(other.digest));
        return signedBy(
          simpleLayer(payload, signWith(who.key)(payload), {
            ...foreign.annotations,
            'dev.cosignproject.cosign/signature': signWith(who.key)(payload).toString('base64'),
          }),
        );
      },
    ],
    [
      'a bundle whose entry was promised and proved by nobody',
      () =>
        withBundle(
          changed(bundle, (json) => {
            delete entryOf(json).inclusionPromise;
            delete entryOf(json).inclusionProof;
          }),
        ),
    ],
    [
      'a bundle with the time of signing moved',
      () =>
        withBundle(
          changed(bundle, (json) => {
            entryOf(json).integratedTime = String(Math.floor(SIGNED_AT.getTime() / 1000) + 1);
          }),
        ),
    ],
    [
      'a bundle with a root of its own',
      () =>
        withBundle(
          changed(bundle, (json) => {
            const { envelope } = proofOf(json).checkpoint;
            proofOf(json).checkpoint.envelope = envelope.replace(/\n1\n/, '\n2\n');
          }),
        ),
    ],
    [
      'a bundle without an entry',
      () =>
        withBundle(
          changed(bundle, (json) => {
            json.verificationMaterial.tlogEntries = [];
          }),
        ),
    ],
    [
      'a bundle with a signature too many',
      () =>
        withBundle(
          changed(bundle, (json) => {
            json.dsseEnvelope.signatures.push(json.dsseEnvelope.signatures[0]!);
          }),
        ),
    ],
  ])('%s', async (_, put) => {
    expect((await judge(rules, put())).kind).toBe('refused');
  });

  test('the same without any of that is let in', async () => {
    expect((await judge(rules, withBundle(bundle))).kind).toBe('admitted');
  });

  test('a certificate in another form than the one that was signed', async () => {
    const who = sigstore.certify();
    // A length in more bytes than it needs (BER): the same content, and not what DER has.
    const der = who.certificate;
    const loose = Buffer.concat([Buffer.of(0x30, 0x83, 0x00), der.subarray(2)]);
    const layer = (certificate: Buffer): Repository =>
      withBundle(
        changed(keylessBundle(sigstore, who, statement), (json) => {
          json.verificationMaterial.certificate.rawBytes = certificate.toString('base64');
        }),
      );
    expect(der[1]).toBe(0x82);
    expect((await judge(rules, layer(loose))).kind).toBe('refused');
    expect((await judge(rules, layer(der))).kind).toBe('admitted');
  });

  test('an authority of its own in the chain that it brings', async () => {
    const who = stranger.certify();
    const layer = keylessLayer(sigstore, who, payload);
    const root = stranger.root.toString('base64');
    const chain = `-----BEGIN CERTIFICATE-----\n${root}\n-----END CERTIFICATE-----\n`;
    const repository = signedBy({ ...layer, annotations: { ...layer.annotations, 'dev.sigstore.cosign/chain': chain } });
    expect(await judge(rules, repository)).toEqual(NOBODY);
  });
});

describe('what would keep the library busy', () => {
  const bundle = keylessBundle(sigstore, sigstore.certify(), statement);

  test('a name in a checkpoint that is a regular expression is not taken for one', async () => {
    const evil = changed(bundle, (json) => {
      const { checkpoint } = proofOf(json);
      checkpoint.envelope = checkpoint.envelope.replace('\u2014 log.test ', '\u2014 (.|.|.)+! ');
    });
    const started = performance.now();
    expect((await judge(rules, withBundle(evil))).kind).toBe('refused');
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test.each<[string, (json: Json) => void]>([
    [
      'entries',
      (json) => {
        json.verificationMaterial.tlogEntries = Array.from({ length: 9 }, () => entryOf(json));
      },
    ],
    [
      'timestamps',
      (json) => {
        json.verificationMaterial.timestampVerificationData = {
          rfc3161Timestamps: Array.from({ length: 9 }, () => ({ signedTimestamp: 'AAAA' })),
        };
      },
    ],
    [
      'digits',
      (json) => {
        proofOf(json).logIndex = '0'.repeat(100_000);
      },
    ],
    [
      'hashes',
      (json) => {
        proofOf(json).hashes = Array.from({ length: 65 }, () => 'AAAA');
      },
    ],
    [
      'bytes in its certificate',
      (json) => {
        json.verificationMaterial.certificate.rawBytes = Buffer.alloc(60_000, 0x30).toString('base64');
      },
    ],
    [
      'checkpoint',
      (json) => {
        proofOf(json).checkpoint.envelope += 'x'.repeat(9000);
      },
    ],
  ])('too many %s', async (_, change) => {
    expect(await judge(rules, withBundle(changed(bundle, change)))).toEqual(NOBODY);
  });
});

test('a trusted root that cannot be used is nobody’s fault but its own: nothing is found out', async () => {
  const repository = signedBy(keylessLayer(sigstore, sigstore.certify(), payload));
  await expect(judge({ ...rules, trustedRoot: '{"tlogs":[{}]}' }, repository)).rejects.toThrow(
    'the trusted root cannot be used',
  );
});
