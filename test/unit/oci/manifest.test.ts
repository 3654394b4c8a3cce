import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.ts';
import { DESCRIPTORS_MAX, readManifest, type Manifest } from '../../../src/oci/manifest.ts';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
  OCI_ARTIFACT_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../../src/oci/media-types.ts';
import { buildImage } from '../../fakes/images.ts';

const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const digest = digestOf(Buffer.from('x'));
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 7 };
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 3 };
const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...layer, mediaType: OCI_MANIFEST }] };
const schema1 = { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [{ blobSum: digest }] };

function read(value: unknown, contentType?: string): Manifest {
  const manifest = readManifest(bytesOf(value), contentType);
  if (manifest.kind === 'fault') throw new Error(manifest.reason);
  return manifest;
}

function reason(value: unknown, contentType?: string): string {
  const manifest = readManifest(bytesOf(value), contentType);
  return manifest.kind === 'fault' ? manifest.reason : `read as ${manifest.mediaType}`;
}

describe('what a manifest says', () => {
  test.each(['oci', 'docker'] as const)('an image of the %s kind', (format) => {
    const built = buildImage({ format, layers: [10, 20] });
    const manifest = readManifest(built.top.bytes, built.top.mediaType);
    expect(manifest).toMatchObject({ kind: 'manifest', mediaType: built.top.mediaType, children: [], subject: undefined });
    const blobs = [built.config, ...built.layers].map(({ digest, size }) => ({ digest, size, foreign: false }));
    expect((manifest as Manifest).blobs).toMatchObject(blobs);
  });

  test.each(['oci', 'docker'] as const)('an index of the %s kind names its platforms', (format) => {
    const built = buildImage({ format, platforms: ['linux/amd64', 'linux/arm64/v8'] });
    const manifest = readManifest(built.top.bytes, built.top.mediaType) as Manifest;
    expect(manifest.children.map((child) => [child.digest, child.platform])).toEqual([
      [built.manifests[0]?.digest, 'linux/amd64'],
      [built.manifests[1]?.digest, 'linux/arm64/v8'],
    ]);
    expect(manifest.blobs).toEqual([]);
  });

  test('an artifact manifest lists blobs, and its subject', () => {
    const manifest = read({
      mediaType: OCI_ARTIFACT_MANIFEST,
      artifactType: 'a/b',
      blobs: [layer],
      subject: { ...layer, mediaType: OCI_MANIFEST },
    });
    expect(manifest.blobs).toHaveLength(1);
    expect(manifest.subject).toMatchObject({ digest, size: 7, mediaType: OCI_MANIFEST });
    expect(manifest.artifactType).toBe('a/b');
  });

  test('an artifact type is its own, else that of the config, and an index has none of a config', () => {
    expect(read({ ...image, artifactType: 'a/b' }).artifactType).toBe('a/b');
    expect(read(image).artifactType).toBe(config.mediaType);
    expect(read(index).artifactType).toBeUndefined();
  });

  test('[P83] [S04] a layer with urls is foreign', () => {
    const manifest = read({
      ...image,
      layers: [
        { ...layer, urls: ['http://169.254.169.254/'] },
        { ...layer, urls: [] },
      ],
    });
    expect(manifest.blobs.map(({ foreign }) => foreign)).toEqual([false, true, false]);
  });

  test('empty lists may be null or absent, as Go writes them', () => {
    expect(read({ ...image, layers: null }).blobs).toHaveLength(1);
    expect(read({ ...index, manifests: null }).children).toEqual([]);
    expect(read({ mediaType: OCI_INDEX }).children).toEqual([]);
    expect(read({ ...image, manifests: null }).mediaType).toBe(OCI_MANIFEST);
  });

  test('a descriptor without type is one of bytes', () => {
    expect(read({ ...image, layers: [{ digest, size: 1 }] }).blobs[1]?.mediaType).toBe('application/octet-stream');
  });

  test('a digest of an algorithm that nobody registered is passed over', () => {
    expect(read({ ...image, layers: [{ ...layer, digest: `sha384:${'0'.repeat(96)}` }, layer] }).blobs).toHaveLength(2);
  });
});

describe('the type of a manifest', () => {
  test.each([
    ['the document, over a header that names no manifest', index, 'application/json', OCI_INDEX],
    ['the document, over a missing header', index, undefined, OCI_INDEX],
    ['the document, over text/plain', { ...image, mediaType: DOCKER_MANIFEST }, 'text/plain', DOCKER_MANIFEST],
    ['the document, where both agree', image, `${OCI_MANIFEST}; charset=utf-8`, OCI_MANIFEST],
    ['the header, where the document is silent', { ...image, mediaType: undefined }, DOCKER_MANIFEST, DOCKER_MANIFEST],
    ['the header, where the document is silent', { ...index, mediaType: '' }, DOCKER_LIST, DOCKER_LIST],
    ['the structure of an image', { ...image, mediaType: undefined }, 'text/plain', OCI_MANIFEST],
    ['the structure of an index', { ...index, mediaType: undefined }, undefined, OCI_INDEX],
    ['the structure of schema 1', schema1, 'text/plain', DOCKER_SCHEMA1],
    ['the structure of signed schema 1', { ...schema1, signatures: [{}] }, undefined, DOCKER_SCHEMA1_SIGNED],
    ['the header, passed on', { hello: 1 }, 'text/plain', 'text/plain'],
    ['JSON, when nothing says more', { hello: 1 }, undefined, 'application/json'],
    [
      'the document, though it is no manifest that we know',
      { mediaType: 'application/x.new+json', layers: 3 },
      OCI_MANIFEST,
      'application/x.new+json',
    ],
  ])('[P28] [P29] comes from %s', (_, document, contentType, type) => {
    expect(read(document, contentType).mediaType).toBe(type);
  });

  test('[P48] schema 1 passes, and nothing is read of it', () => {
    expect(read(schema1, DOCKER_SCHEMA1_SIGNED)).toMatchObject({ mediaType: DOCKER_SCHEMA1_SIGNED, children: [], blobs: [] });
  });

  test('an unknown type passes, and nothing is read of it', () => {
    expect(read({ mediaType: 'application/x.new+json', layers: [layer] })).toMatchObject({ children: [], blobs: [] });
  });

  test.each([undefined, OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, 'text/plain', DOCKER_SCHEMA1])(
    '[S12] a document that is index and image at once is refused under %s',
    (contentType) => {
      for (const mediaType of [undefined, OCI_INDEX, OCI_MANIFEST, 'application/x.new+json']) {
        expect(reason({ ...index, layers: [layer], mediaType }, contentType)).toMatch('manifests beside');
        expect(reason({ ...index, config, mediaType }, contentType)).toMatch('manifests beside');
        expect(reason({ ...image, Manifests: index.manifests, mediaType }, contentType)).toMatch('manifests beside');
      }
    },
  );

  test.each([
    [index, OCI_MANIFEST],
    [image, OCI_INDEX],
    [image, DOCKER_MANIFEST],
    [index, DOCKER_LIST],
    [image, DOCKER_SCHEMA1_SIGNED],
  ])('[S12] a header that names another manifest type than the document is refused (%#)', (document, contentType) => {
    expect(reason(document, contentType)).toMatch(`it came as ${contentType}`);
  });

  test.each([
    [{ ...image, mediaType: OCI_INDEX }, undefined],
    [{ ...index, mediaType: OCI_MANIFEST }, undefined],
    [{ ...index, mediaType: undefined }, OCI_MANIFEST],
    [{ ...image, mediaType: undefined }, DOCKER_LIST],
    [{ ...image, mediaType: undefined }, DOCKER_SCHEMA1],
    [{ ...image, mediaType: undefined, LAYERS: [layer] }, OCI_INDEX],
  ])('[S12] a type that the content contradicts is refused (%#)', (document, contentType) => {
    expect(reason(document, contentType)).toMatch('which its content is not');
  });

  test.each([7, 'a/b\r\nx: y', 'json', {}, []])('[S21] %j cannot be a mediaType', (mediaType) => {
    expect(reason({ ...image, mediaType })).toBe('its mediaType is no media type');
  });
});

describe('what is refused', () => {
  test.each(['', 'not json', '{', '{"a":1}}', '\uFEFF{}', '<html>'])('%j is not JSON', (text) => {
    expect(readManifest(Buffer.from(text), OCI_MANIFEST)).toEqual({ kind: 'fault', reason: 'it is not JSON' });
  });

  test.each([null, 7, 'text', true, [], [image]])('%j is no object', (value) => {
    expect(reason(value, OCI_MANIFEST)).toBe('it is not a JSON object');
  });

  test('bytes that are not UTF-8 are not JSON', () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(readManifest(bytes, undefined)).toEqual({ kind: 'fault', reason: 'it is not JSON' });
  });

  test('[S22] 64 levels pass, 65 do not', () => {
    const nested = (levels: number) => Buffer.from(`{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`);
    expect(readManifest(nested(64), undefined).kind).toBe('manifest');
    expect(readManifest(nested(65), undefined)).toEqual({ kind: 'fault', reason: 'it nests deeper than 64 levels' });
  });

  test('[S22] brackets inside strings do not count, behind escaped quotes neither', () => {
    expect(read({ a: '['.repeat(100), b: `"${'{'.repeat(100)}`, c: `\\"${'['.repeat(100)}` }).kind).toBe('manifest');
  });

  test('[S22] 4 MiB of brackets are refused at once', () => {
    const bytes = Buffer.alloc(4 * 1024 * 1024, '[');
    const start = performance.now();
    expect(readManifest(bytes, OCI_MANIFEST).kind).toBe('fault');
    expect(performance.now() - start).toBeLessThan(50);
  });

  test.each([2 ** 53, -1, 1.5, '7', null, undefined, 1e300])('[S22] a size of %s is refused', (size) => {
    expect(reason({ ...image, layers: [{ ...layer, size }] })).toMatch('no size');
    expect(reason({ ...image, config: { ...config, size } })).toMatch('no size');
    expect(reason({ ...image, subject: { ...layer, size } })).toMatch('no size');
    expect(reason({ ...index, manifests: [{ ...layer, size }] })).toMatch('no size');
  });

  test('[S22] a size that loses its last digit is refused', () => {
    const text = JSON.stringify({ ...image, layers: [{ ...layer, size: 1234567 }] }).replace('1234567', '9007199254740993');
    expect(readManifest(Buffer.from(text), undefined)).toMatchObject({ kind: 'fault' });
  });

  test('[S22] sizes up to 2^53 - 1 are taken', () => {
    expect(read({ ...image, layers: [{ ...layer, size: Number.MAX_SAFE_INTEGER }] }).blobs[1]?.size).toBe(2 ** 53 - 1);
  });

  test.each(['sha256:abc', '', 'x', 7, undefined, 'sha256:../../etc/passwd', `sha256:${'A'.repeat(64)}`])(
    'a digest of %j is refused',
    (broken) => {
      expect(reason({ ...image, layers: [{ ...layer, digest: broken }] })).toMatch('digest');
    },
  );

  test.each([7, 'text', {}, true])('%j is no list of layers', (layers) => {
    expect(reason({ ...image, layers })).toBe('its content is not a list');
    expect(reason({ ...index, manifests: layers })).toBe('its content is not a list');
  });

  test.each([7, 'text', null, []])('%j is no descriptor', (entry) => {
    expect(reason({ ...image, layers: [entry] })).toBe('a descriptor is not an object');
  });

  test('[S22] 10,000 descriptors pass, one more does not', () => {
    const layers = Array.from({ length: DESCRIPTORS_MAX - 1 }, () => layer);
    expect(read({ ...image, layers }).blobs).toHaveLength(DESCRIPTORS_MAX);
    expect(reason({ ...image, layers: [...layers, layer] })).toMatch('more than 10000 descriptors');
    expect(reason({ ...image, layers, subject: layer })).toMatch('more than 10000 descriptors');
  });
});

describe('what input may not touch', () => {
  test('[S26] __proto__ is a key like any other, and reaches no prototype', () => {
    const text = `{"mediaType":"${OCI_MANIFEST}","layers":[],"annotations":{"__proto__":"x","constructor":"y"},"__proto__":{"polluted":1,"config":7}}`;
    const manifest = readManifest(Buffer.from(text), undefined) as Manifest;
    expect([...manifest.annotations]).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(manifest.blobs).toEqual([]);
  });

  test('[S26] inherited names are not read as the document’s', () => {
    expect(
      read({ mediaType: OCI_MANIFEST, layers: [{ ...layer, platform: { os: 'linux' } }] }).blobs[0]?.platform,
    ).toBeUndefined();
    expect(read({ mediaType: OCI_MANIFEST, annotations: { a: 7, b: 'c' } }).annotations).toEqual(new Map([['b', 'c']]));
  });

  test('the bytes stay as they are', () => {
    const bytes = bytesOf(image);
    const before = Buffer.from(bytes);
    readManifest(bytes, undefined);
    expect(before.equals(bytes)).toBe(true);
  });
});
