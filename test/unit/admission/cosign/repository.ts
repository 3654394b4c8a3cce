import { createSigned, type SignedOptions } from '../../../../src/admission/signed.ts';
import type { SignatureStore } from '../../../../src/admission/cosign/store.ts';
import type { Entering, Judgement } from '../../../../src/admission/judge.ts';
import { buildImage, type ManifestBlob } from '../../../fakes/images.ts';
import {
  bundleLayer,
  BUNDLE,
  signatureManifest,
  signatureTag,
  type SignatureLayer,
  type SignatureManifest,
} from '../../../fakes/signatures.ts';

export const image = buildImage().top;
export const other = buildImage({ label: 'another' }).top;

/** What a repository holds, and what cannot be found out of it. */
export interface Repository extends SignatureStore {
  /** Every question, in order. */
  readonly asked: string[];
  /** Questions of this kind (`tag`, `digest`, `blob`, `referrers`) reject from now on. */
  fail(what: string): void;
  /** Puts something behind cosign's tag of a manifest. */
  tag(manifest: SignatureManifest, subject?: ManifestBlob): void;
  /** Adds a referrer to the image; `fields` go into its entry of the list. */
  refer(manifest: SignatureManifest, fields?: Readonly<Record<string, unknown>>): void;
  /** Adds a referrer that holds a bundle. */
  bundle(bundle: Uint8Array, fields?: Readonly<Record<string, unknown>>): void;
  /** Puts other bytes under a blob's digest. */
  swap(digest: string, bytes: Uint8Array): void;
  remove(reference: string): void;
}

export function createRepository(): Repository {
  const manifests = new Map<string, ManifestBlob>();
  const blobs = new Map<string, Uint8Array>();
  const referrers: object[] = [];
  const failing = new Set<string>();
  const asked: string[] = [];
  const ask = (what: string, which: string): void => {
    asked.push(`${what} ${which}`);
    if (failing.has(what)) throw new Error(`${what}: no upstream could be asked`);
  };
  const keep = ({ manifest, blobs: held }: SignatureManifest): void => {
    manifests.set(manifest.digest, manifest);
    for (const { digest, bytes } of held) blobs.set(digest, bytes);
  };
  const refer = (added: SignatureManifest, fields: Readonly<Record<string, unknown>> = {}): void => {
    keep(added);
    const { digest, size, mediaType } = added.manifest;
    referrers.push({ mediaType, digest, size, artifactType: BUNDLE, ...fields });
  };
  return {
    asked,
    fail: (what) => void failing.add(what),
    tag(added, subject = image) {
      keep(added);
      manifests.set(signatureTag(subject.digest), added.manifest);
    },
    refer,
    bundle: (bundle, fields) => refer(signatureManifest([bundleLayer(bundle)], image, BUNDLE), fields),
    swap: (digest, bytes) => void blobs.set(digest, bytes),
    remove(reference) {
      manifests.delete(reference);
      blobs.delete(reference);
    },
    async manifest(_, reference) {
      ask(reference.includes(':') ? 'digest' : 'tag', reference);
      return manifests.get(reference);
    },
    async blob(_, digest, bytesMax) {
      ask('blob', digest);
      const bytes = blobs.get(digest);
      return bytes === undefined || bytes.byteLength > bytesMax ? undefined : bytes;
    },
    async referrers(_, digest) {
      ask('referrers', digest);
      const of = digest === image.digest ? referrers : [];
      return Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: of }));
    },
  };
}

/** What is judged: the image, by digest. */
export function entering(manifest: ManifestBlob = image): Entering {
  const { digest, mediaType, bytes } = manifest;
  return { registry: 'registry.test', repository: 'team/app', tag: undefined, digest, mediaType, bytes };
}

export type Rules = Omit<SignedOptions, 'store'>;

export const byKeys = (...keys: readonly string[]): Rules => ({ keys, identities: [], trustedRoot: undefined });

/** The judge's word on the image, or on another manifest. */
export async function judge(rules: Rules, store: SignatureStore, manifest?: ManifestBlob): Promise<Judgement> {
  return createSigned({ ...rules, store }).judge(entering(manifest), new AbortController().signal);
}

/** A repository in which the image has these layers behind its tag. */
export function signedBy(...layers: readonly SignatureLayer[]): Repository {
  const repository = createRepository();
  repository.tag(signatureManifest(layers));
  return repository;
}
