import { X509Certificate } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import type { SignedEntity, TrustMaterial, Verifier } from '@sigstore/verify';
import type { JsonObject } from '../../oci/json.ts';
import { JudgeError } from '../judge.ts';
import { isWithinLimits } from './bundle-limits.ts';
import type { Signer } from './identity.ts';

/** Who signed with a certificate, by the authorities and logs of a trusted root. */
export interface Keyless {
  /**
   * Who signed `artifact` (of a bundle with a statement: the statement); `undefined`: nobody whom the trusted root can tell of.
   * Rejects where the trusted root cannot be used.
   */
  signerOf(bundle: JsonObject, artifact: Uint8Array): Promise<Signer | undefined>;
}

/** RFC 5280 4.2.1.12: what the certificates of Fulcio are for. */
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

/**
 * By Sigstore's own library, which is loaded with the first question: the certificate comes from an authority of the root and was in
 * a transparency log of certificates, the signature was made while it was valid, as a log of signatures or a time-stamp
 * authority says, and is in such a log. All of it stands in the bundle; nobody is asked.
 */
export function createKeyless(trustedRoot: string): Keyless {
  let loaded: Promise<Loaded> | undefined;
  return {
    async signerOf(bundle, artifact) {
      loaded ??= load(trustedRoot);
      const { open, verifier } = await loaded;
      if (!isWithinLimits(bundle)) return undefined;
      try {
        const { entity, certificate } = open(bundle, Buffer.from(artifact));
        if (!isCodeSigner(entity, certificate)) return undefined;
        const { identity } = verifier.verify(entity);
        const [issuer, subject] = [identity?.extensions?.issuer, identity?.subjectAlternativeName];
        return issuer === undefined || subject === undefined ? undefined : { issuer, subject };
      } catch {
        // Whatever it says is wrong with the bundle: the root was taken in before.
        return undefined;
      }
    },
  };
}

interface Loaded {
  open(bundle: JsonObject, artifact: Buffer): Opened;
  readonly verifier: Verifier;
}

interface Opened {
  readonly entity: SignedEntity;
  /** DER, as it came. */
  readonly certificate: Buffer | undefined;
}

async function load(trustedRoot: string): Promise<Loaded> {
  const [{ bundleFromJSON }, { TrustedRoot }, { toSignedEntity, toTrustMaterial, Verifier }] = await Promise.all([
    import('@sigstore/bundle'),
    import('@sigstore/protobuf-specs'),
    import('@sigstore/verify'),
  ]);
  const verifier = new Verifier(taken(() => toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(trustedRoot)))));
  const open = (json: JsonObject, artifact: Buffer): Opened => {
    const bundle = bundleFromJSON(json);
    return { entity: toSignedEntity(bundle, artifact), certificate: certificateIn(bundle) };
  };
  return { open, verifier };
}

function taken(take: () => TrustMaterial): TrustMaterial {
  try {
    return take();
  } catch (cause) {
    throw new JudgeError('the trusted root cannot be used', { cause });
  }
}

function certificateIn({ verificationMaterial: { content } }: Bundle): Buffer | undefined {
  if (content.$case === 'certificate') return content.certificate.rawBytes;
  return content.$case === 'x509CertificateChain' ? content.x509CertificateChain.certificates[0]?.rawBytes : undefined;
}

/**
 * What the library leaves to others: that the certificate is one for signing, and stands there in the only form that its signature
 * is about. The library reads the form that came and checks the one that it writes.
 */
function isCodeSigner({ key }: SignedEntity, der: Buffer | undefined): boolean {
  if (key.$case !== 'certificate' || der === undefined || !key.certificate.root.toDER().equals(der)) return false;
  const { ca, keyUsage } = new X509Certificate(der);
  // Node's types take the list, which is of extended usages, for one that is always there.
  return !ca && (keyUsage as string[] | undefined)?.includes(CODE_SIGNING) === true;
}
