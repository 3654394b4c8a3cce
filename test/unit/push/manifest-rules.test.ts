import { describe, expect, test } from 'vitest';
import type { ManifestRules } from '../../../src/push/manifest-rules.ts';
import { blobOf, buildImage, type Image } from '../../fakes/images.ts';
import { APP, createHouse, HOLDER, type House } from './house.ts';

const OCI = 'application/vnd.oci.image.manifest.v1+json';
const index = buildImage({ platforms: ['linux/amd64', 'linux/arm64/v8', 'windows/amd64'] });

/** The index alone, or with those of its images. */
async function pushIndex(
  house: House,
  { top, manifests, configs, layers }: Image,
  present: readonly number[],
): Promise<string> {
  for (const at of present) {
    for (const blob of [configs[at]!, ...layers])
      await house.ask('POST', `${APP}/blobs/uploads/?digest=${blob.digest}`, blob.bytes);
    const { digest, bytes, mediaType } = manifests[at]!;
    await house.ask('PUT', `${APP}/manifests/${digest}`, bytes, { contentType: mediaType });
  }
  return house.ask('PUT', `${APP}/manifests/1`, top.bytes, { contentType: top.mediaType }).then(
    ({ status }) => String(status),
    (error: { status: number; code: string }) => `${error.status} ${error.code}`,
  );
}

const MISSING = '400 MANIFEST_BLOB_UNKNOWN';
const rules = (children: ManifestRules['children']) => ({
  rules: (): ManifestRules => ({ children, blobs: 'all', urls: undefined }),
});

describe('validation.manifests.indexes', () => {
  test.each([
    ['all', [], MISSING],
    ['all', [0, 1], MISSING],
    ['all', [0, 1, 2], '201'],
    ['none', [], '201'],
    [[{ os: 'linux', architecture: 'amd64' }], [], MISSING],
    [[{ os: 'linux', architecture: 'amd64' }], [0], '201'],
    [[{ os: 'linux', architecture: 'arm64' }], [0], MISSING],
    [[{ os: 'linux', architecture: 'arm64' }], [1], '201'],
    [[{ os: 'plan9', architecture: 'mips' }], [], '201'],
  ] as const)('%j, with %j of its images there: %s', async (children, present, outcome) => {
    expect(await pushIndex(await createHouse(rules(children)), index, present)).toBe(outcome);
  });

  test('what need not be there is renewed if it is, so that no collection takes it from the index', async () => {
    const house = await createHouse(rules('none'));
    await pushIndex(house, index, [0]);
    await house.clock.advance(7_200_000);
    await house.ask('PUT', `${APP}/manifests/1`, index.top.bytes, { contentType: index.top.mediaType });
    expect((await house.records.link(HOLDER, index.manifests[0]!.digest))?.at).toBe(house.clock.now());
    expect(await house.records.link(HOLDER, index.manifests[1]!.digest)).toBeUndefined();
  });

  test('the blobs of an image must be there all the same', async () => {
    const house = await createHouse(rules('none'));
    const { top } = buildImage();
    expect(await house.refusal('PUT', `${APP}/manifests/1`, top.bytes, { contentType: top.mediaType })).toBe(MISSING);
  });
});

describe('validation.manifests.images', () => {
  const { top, config, layers } = buildImage();
  const sparse = { rules: (): ManifestRules => ({ children: 'all', blobs: 'none', urls: undefined }) };

  test('none: an image comes without its blobs, which are no more readable for being named', async () => {
    const house = await createHouse(sparse);
    for (const { digest, bytes } of layers) await house.ask('POST', `/v2/other/blobs/uploads/?digest=${digest}`, bytes);
    expect((await house.ask('PUT', `${APP}/manifests/1`, top.bytes, { contentType: top.mediaType })).status).toBe(201);
    for (const { digest } of [config, ...layers]) expect(await house.records.link(HOLDER, digest)).toBeUndefined();
  });

  test('none: what is there is renewed, so that no collection takes it from the image', async () => {
    const house = await createHouse(sparse);
    await house.ask('POST', `${APP}/blobs/uploads/?digest=${config.digest}`, config.bytes);
    await house.clock.advance(7_200_000);
    await house.ask('PUT', `${APP}/manifests/1`, top.bytes, { contentType: top.mediaType });
    expect((await house.records.link(HOLDER, config.digest))?.at).toBe(house.clock.now());
  });

  test('none says nothing of the images of an index', async () => {
    expect(await pushIndex(await createHouse(sparse), index, [])).toBe(MISSING);
  });
});

describe('validation.manifests.urls', () => {
  const example = /^https?:\/\/([^/]+\.)*example\.com\//;

  async function push(urls: readonly unknown[], allow: readonly RegExp[], deny: readonly RegExp[] = []): Promise<string> {
    const house = await createHouse({ rules: () => ({ children: 'all', blobs: 'all', urls: { allow, deny } }) });
    const config = blobOf(Buffer.from('{}'));
    await house.ask('POST', `${APP}/blobs/uploads/?digest=${config.digest}`, config.bytes);
    const layer = { mediaType: 'a/b', digest: blobOf(Buffer.from('x')).digest, size: 1, urls };
    const { digest, size } = config;
    const manifest = { schemaVersion: 2, mediaType: OCI, config: { mediaType: 'c/d', digest, size }, layers: [layer] };
    return house.ask('PUT', `${APP}/manifests/1`, Buffer.from(JSON.stringify(manifest)), { contentType: OCI }).then(
      ({ status }) => String(status),
      (error: { status: number; code: string; message: string }) => `${error.status} ${error.code} ${error.message}`,
    );
  }

  test.each([
    [['https://example.com/a'], [example], [], '201'],
    [['https://a.b.example.com/a', 'http://example.com/'], [example], [], '201'],
    [
      ['https://example.com/a', 'https://other.test/'],
      [example],
      [],
      '400 MANIFEST_INVALID the manifest names "https://other.test/"',
    ],
    [['https://www.example.com/a'], [example], [/^https?:\/\/www\./], '400 MANIFEST_INVALID'],
    [['https://other.test/'], [], [/^https?:\/\/www\./], '201'],
    [['ftp://example.com/'], [/./], [], '400 MANIFEST_INVALID'],
    [['https://example.com/#a'], [/./], [], '400 MANIFEST_INVALID'],
    [[7], [/./], [], '400 MANIFEST_INVALID'],
  ])('%j against %j and %j: %s', async (urls, allow, deny, outcome) => {
    expect(await push(urls, allow, deny)).toContain(outcome);
  });

  test('an expression that would take for ever does not', async () => {
    expect(await push([`http://${'a.'.repeat(200)}/`], [example])).toContain('take too long to be matched');
  }, 5_000);
});

test('read-only: nothing is taken and nothing goes, and clients are told why', async () => {
  let readOnly = false;
  const house = await createHouse({ readOnly: () => readOnly });
  const at = await house.begin();
  readOnly = true;
  const digest = index.top.digest;
  for (const [method, path] of [
    ['POST', `${APP}/blobs/uploads/`],
    ['PATCH', at],
    ['PUT', `${at}?digest=${digest}`],
    ['DELETE', at],
    ['PUT', `${APP}/manifests/1`],
    ['DELETE', `${APP}/manifests/1`],
    ['DELETE', `${APP}/blobs/${digest}`],
  ] as const)
    expect(await house.refusal(method, path), `${method} ${path}`).toBe('405 UNSUPPORTED');
  expect((await house.ask('GET', at)).status).toBe(204);
});
