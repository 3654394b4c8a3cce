import { describe, expect, test } from 'vitest';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
  isIndexType,
  isManifestType,
  isSchema1Type,
  MANIFEST_ACCEPT,
  mediaTypeOf,
  OCI_ARTIFACT_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../../src/oci/media-types.ts';

const ALL = [
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_ARTIFACT_MANIFEST,
  DOCKER_SCHEMA1_SIGNED,
  DOCKER_SCHEMA1,
];

describe('media types', () => {
  test('[P27] Accept names every manifest type, indexes first, and ends with anything', () => {
    expect(MANIFEST_ACCEPT.split(', ')).toEqual([
      'application/vnd.oci.image.index.v1+json',
      'application/vnd.oci.image.manifest.v1+json',
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.docker.distribution.manifest.v2+json',
      'application/vnd.oci.artifact.manifest.v1+json',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'application/vnd.docker.distribution.manifest.v1+json',
      '*/*',
    ]);
  });

  test.each([
    [`${OCI_INDEX}; charset=utf-8`, OCI_INDEX],
    [`${OCI_INDEX};charset="a;b"`, OCI_INDEX],
    [` ${OCI_INDEX.toUpperCase()} `, OCI_INDEX],
    ['text/plain', 'text/plain'],
  ])('[P28] %j is %s', (value, type) => {
    expect(mediaTypeOf(value)).toBe(type);
  });

  test.each([
    undefined,
    '',
    ';',
    'json',
    'a/',
    '/b',
    'a/b/c',
    'a/b c',
    'a/b\r\nx: y',
    'a/é',
    `a/${'b'.repeat(128)}`,
    `a/b;${'c'.repeat(2000)}`,
  ])('[S21] %j is no media type', (value) => {
    expect(mediaTypeOf(value)).toBeUndefined();
  });

  test('each type knows what it is', () => {
    expect(ALL.filter(isManifestType)).toEqual(ALL);
    expect(ALL.filter(isIndexType)).toEqual([OCI_INDEX, DOCKER_LIST]);
    expect(ALL.filter(isSchema1Type)).toEqual([DOCKER_SCHEMA1_SIGNED, DOCKER_SCHEMA1]);
    expect(['application/json', '*/*', ''].filter(isManifestType)).toEqual([]);
  });
});
