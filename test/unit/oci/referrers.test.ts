import { describe, expect, test } from 'vitest';
import { emptyIndex, filterReferrers, readReferrers } from '../../../src/oci/referrers.ts';
import { OCI_INDEX } from '../../../src/oci/media-types.ts';

const listOf = (...manifests: unknown[]): Uint8Array =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
const signature = { digest: 'sha256:a', artifactType: 'application/sig', annotations: { k: 'v' }, future: [1] };
const sbom = { digest: 'sha256:b', artifactType: 'application/sbom' };
const untyped = { digest: 'sha256:c' };

describe('referrers', () => {
  test('[P96] nobody referring is an index of nothing', () => {
    expect(parsed(emptyIndex())).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [],
    });
  });

  test('[P95] a filter keeps the entries of the type, whole', () => {
    expect(parsed(filterReferrers(listOf(signature, sbom, untyped), 'application/sig'))).toEqual(parsed(listOf(signature)));
    expect(parsed(filterReferrers(listOf(signature), 'application/none'))).toEqual(parsed(emptyIndex()));
  });

  test.each(['', 'no', '[]', '{}', '{"manifests":{}}', '{"layers":[]}'])(
    '%j is no list, and a filter finds nothing in it',
    (text) => {
      expect(readReferrers(Buffer.from(text))).toBeUndefined();
      expect(parsed(filterReferrers(Buffer.from(text), 'a'))).toEqual(parsed(emptyIndex()));
    },
  );

  test('[S22] a list of more than 10,000 is none', () => {
    expect(readReferrers(listOf(...Array.from({ length: 10_000 }, () => sbom)))).toHaveLength(10_000);
    expect(readReferrers(listOf(...Array.from({ length: 10_001 }, () => sbom)))).toBeUndefined();
  });

  test('[S26] an entry’s __proto__ reaches no prototype', () => {
    const text = '{"manifests":[{"digest":"sha256:a","__proto__":{"artifactType":"x","polluted":1}}]}';
    expect(parsed(filterReferrers(Buffer.from(text), 'x'))).toEqual(parsed(emptyIndex()));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
