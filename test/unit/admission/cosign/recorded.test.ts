import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blobOf, type ManifestBlob } from '../../../fakes/images.ts';
import type { SignatureManifest } from '../../../fakes/signatures.ts';
import { byKeys, createRepository, judge } from './repository.ts';

/** What cosign itself wrote, so that what our own tests sign is not all that is read. */
interface Recorded {
  readonly key: string;
  readonly image: Written;
  /** By cosign 2, behind the tag. */
  readonly tag: Held;
  /** By cosign 3: a signature, then an attestation. */
  readonly referrers: readonly [Held, Held];
  /** The index that lists them. */
  readonly list: string;
}

interface Written {
  readonly mediaType: string;
  readonly text: string;
}

interface Held {
  readonly manifest: Written;
  readonly layers: readonly string[];
}

const FILE = join(import.meta.dirname, '../../../fixtures/cosign/recorded.json');
const recorded = JSON.parse(readFileSync(FILE, 'utf8')) as Recorded;
const image = manifestOf(recorded.image);
const rules = byKeys(recorded.key);

function manifestOf({ mediaType, text }: Written): ManifestBlob {
  return { ...blobOf(Buffer.from(text)), mediaType };
}

function heldOf({ manifest, layers }: Held): SignatureManifest {
  return { manifest: manifestOf(manifest), blobs: layers.map((layer) => blobOf(Buffer.from(layer))) };
}

function referring(...held: readonly Held[]): ReturnType<typeof createRepository> {
  const repository = createRepository();
  for (const each of held) repository.refer(heldOf(each));
  return { ...repository, referrers: async () => Buffer.from(recorded.list) };
}

test('cosign 2, behind a tag', async () => {
  const repository = createRepository();
  repository.tag(heldOf(recorded.tag), image);
  expect((await judge(rules, repository, image)).kind).toBe('admitted');
});

test('cosign 3, by a referrer', async () => {
  const [signature, attestation] = recorded.referrers;
  expect((await judge(rules, referring(signature, attestation), image)).kind).toBe('admitted');
  expect(await judge(rules, referring(attestation), image)).toEqual({
    kind: 'refused',
    reason: 'it has signatures, but they are of something else',
  });
});

test.each([
  ['cosign 2, behind a tag', recorded.tag],
  ['cosign 3, a signature', recorded.referrers[0]],
  ['cosign 3, an attestation', recorded.referrers[1]],
])('what holds it can be pulled: %s', async (_, held) => {
  expect((await judge(rules, referring(held), manifestOf(held.manifest))).kind).toBe('admitted');
});
