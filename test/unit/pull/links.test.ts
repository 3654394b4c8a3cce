import { describe, expect, test } from 'vitest';
import { buildImage, randomBlob } from '../../fakes/images.ts';
import { ABSENT, createScriptedPort, type ScriptedPort } from '../../fakes/scripted-port.ts';
import { bytesOf, createHouse, settle, sha256 } from './house.ts';

const layer = randomBlob(400_000, 3);
const image = buildImage({ layers: [300] });

/** Holds everything under `a/b`; other repositories as `also` says. `anonymous`: no credentials are needed. */
function registry(anonymous: boolean, also: readonly string[] = []): ScriptedPort {
  const all = [layer, image.config, ...image.layers];
  return createScriptedPort('hub', ({ repository, kind, reference }) => {
    if (repository !== 'a/b' && !also.includes(repository)) return ABSENT;
    if (kind === 'manifest' && (reference === image.top.digest || reference === '3')) {
      return { bytes: image.top.bytes, mediaType: image.top.mediaType, digest: image.top.digest, anonymous };
    }
    const blob = kind === 'blob' ? all.find(({ digest }) => digest === reference) : undefined;
    return blob === undefined ? ABSENT : { bytes: blob.bytes, anonymous };
  });
}

describe('[promise 9] private stays private', () => {
  test('[P78] [S08] what came through one repository is not shown under another without an upstream’s yes', async () => {
    const hub = registry(false);
    const house = await createHouse({ chain: [hub] });
    await bytesOf(await house.blob('a/b', layer.digest));
    await house.manifest('a/b', '3');
    await settle();
    const asks = [{}, { method: 'HEAD' }, { range: 'bytes=0-9' }] as const;
    for (const asked of asks) {
      const random = randomBlob(10, 77).digest;
      const held = await house.blob('public/b', layer.digest, asked).catch((error: unknown) => error);
      const unknown = await house.blob('public/b', random, asked).catch((error: unknown) => error);
      expect(held).toMatchObject({ status: 404, code: 'BLOB_UNKNOWN' });
      expect(String(held).replace(layer.digest, '')).toBe(String(unknown).replace(random, ''));
    }
    await expect(house.manifest('public/b', image.top.digest)).rejects.toMatchObject({ status: 404, code: 'MANIFEST_UNKNOWN' });
    await expect(house.blob('public/b', image.top.digest)).rejects.toMatchObject({ status: 404 });
  });

  test('a yes is asked for by one HEAD, remembered as a link, and no byte is fetched again', async () => {
    const hub = registry(false, ['c/d']);
    const house = await createHouse({ chain: [hub], policy: { open: false, unlocks: () => true } });
    await bytesOf(await house.blob('a/b', layer.digest));
    await house.manifest('a/b', image.top.digest);
    await settle();
    const sent = hub.sent();
    const replies = await Promise.all(Array.from({ length: 10 }, () => house.blob('c/d', layer.digest)));
    for (const reply of replies) expect(sha256(await bytesOf(reply))).toBe(layer.digest);
    await house.blob('c/d', layer.digest);
    await house.manifest('c/d', image.top.digest);
    await house.manifest('c/d', image.top.digest);
    expect(hub.heads()).toHaveLength(2);
    expect(hub.sent()).toBe(sent);
  });

  test('[decision 8] shared layers of public images survive the upstream', async () => {
    const hub = registry(true, ['c/d']);
    const house = await createHouse({ chain: [hub] });
    for (const blob of [image.config, ...image.layers]) await bytesOf(await house.blob('a/b', blob.digest));
    await house.manifest('c/d', '3');
    await settle();
    hub.say(() => ABSENT);
    for (const blob of [image.config, ...image.layers]) {
      expect(sha256(await bytesOf(await house.blob('c/d', blob.digest)))).toBe(blob.digest);
    }
    await expect(house.blob('e/f', image.config.digest)).rejects.toMatchObject({ status: 404 });
  });

  for (const [what, blobsPublic, manifestPublic, open] of [
    ['the bytes needed a credential', false, true, true],
    ['the manifest needed a credential', true, false, true],
    ['the route is not open to anyone', true, true, false],
  ] as const) {
    test(`[decision 8] a manifest grants nothing where ${what}`, async () => {
      const hub = registry(blobsPublic, ['c/d']);
      const house = await createHouse({ chain: [hub], policy: { open } });
      await bytesOf(await house.blob('a/b', image.config.digest));
      await settle();
      // The bytes may have become public by another way.
      const blob = (await house.records.blob(image.config.digest))!;
      await house.records.putBlob(image.config.digest, { ...blob, public: blobsPublic });
      const other = registry(manifestPublic, ['c/d']);
      hub.say((request, at) => (request.kind === 'blob' ? ABSENT : other.script(request, at)));
      await house.manifest('c/d', '3');
      await expect(house.blob('c/d', image.config.digest)).rejects.toMatchObject({ status: 404 });
    });
  }

  test('a blob’s yes is no manifest’s yes', async () => {
    const hub = createScriptedPort('hub', ({ kind, repository }) =>
      kind === 'blob' || repository === 'a/b' ? { bytes: image.top.bytes, mediaType: image.top.mediaType } : ABSENT,
    );
    const house = await createHouse({ chain: [hub] });
    await house.manifest('a/b', image.top.digest);
    await bytesOf(await house.blob('c/d', image.top.digest));
    await settle();
    await expect(house.manifest('c/d', image.top.digest)).rejects.toMatchObject({ status: 404 });
  });

  test('[R23] a file that vanished or was cut short is a miss, and heals', async () => {
    const hub = registry(true);
    const house = await createHouse({ chain: [hub] });
    await bytesOf(await house.blob('a/b', layer.digest));
    await settle();
    const hex = layer.digest.slice(7);
    const path = `/data/entrepot/blobs/sha256/${hex.slice(0, 2)}/${hex}`;
    const file = (await house.disk.open(path, 'update'))!;
    await file.truncate(1000);
    await file.close();
    expect(sha256(await bytesOf(await house.blob('a/b', layer.digest)))).toBe(layer.digest);
    expect(house.counted('quarantined')).toBe(1);
    await settle();
    await house.disk.unlink(path);
    expect(sha256(await bytesOf(await house.blob('a/b', layer.digest)))).toBe(layer.digest);
    expect(hub.gets()).toHaveLength(3);
  });

  test('[P51] HEAD of a blob that is not here takes no transfer; the descriptor’s size counts for more than the upstream’s', async () => {
    const hub = createScriptedPort('hub', () => ({ bytes: layer.bytes, size: null }));
    const house = await createHouse({ chain: [hub] });
    const record = { size: layer.size, mediaType: 'x/y', public: true };
    await house.records.putDescribed('docker.io/a/b', [{ digest: layer.digest, record }]);
    const reply = await house.blob('a/b', layer.digest, { method: 'HEAD' });
    expect([reply.status, reply.headers['content-length'], reply.body.kind]).toEqual([200, String(layer.size), 'none']);
    expect([hub.gets().length, hub.sent()]).toEqual([0, 0]);
  });
});
