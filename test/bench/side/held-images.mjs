// A store that holds images (images.mjs) as if it had pulled them, written in seconds: ten thousand pulls on a disk take minutes.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, MANIFEST } from './images.mjs';
import { write, writeObject } from './stock.mjs';

/** Into `root`, which must be new, as pulled one after the other: `images` as { at, image }, the first was used least recently. */
export async function holdImages(root, images) {
  const keys = await import('../../../dist/metadata/keys.js');
  const forms = await import('../../../dist/metadata/forms.js');
  const { LAYOUT } = await import('../../../dist/blobs/layout.js');
  const now = Date.now();
  const known = { upstream: 'up', needed: 'nothing' };
  const objects = images.flatMap(({ at, image }) => {
    const repository = `docker.io/bench/image-${at}`;
    const manifest = { digest: image.digest, size: image.manifest.length, content: () => image.manifest };
    const blobs = image.blobs.map((blob) => ({ ...blob, repository, kind: 'blob', content: () => bytesOf(blob) }));
    return [{ ...manifest, repository, kind: 'manifest' }, ...blobs];
  });

  function* entries() {
    const inventory = keys.INVENTORY_SLOT;
    for (const [at, { digest, size, kind, repository }] of objects.entries()) {
      const place = { digest, size, position: now - 1000 * 60 - objects.length + at };
      yield [inventory, keys.inventoryEntryKey(digest), forms.inventoryEntryForm.encode(place)];
      yield [inventory, keys.recentKey(place), forms.recentForm.encode(place)];
      const [own, blob] = [keys.digestSlot(digest), { size, public: true, state: 'held', at: now }];
      yield [own, keys.BLOB_KEY, forms.blobForm.encode(blob)];
      yield [own, keys.holderKey(repository), forms.holderForm.encode({ repository, kind, by: 'upstream' })];
      const slot = keys.repositorySlot(repository);
      const link = { kind, ...(kind === 'manifest' ? { mediaType: MANIFEST } : {}), size, by: 'upstream', at: now, ...known };
      yield [slot, keys.linkKey(digest), forms.linkForm.encode(link)];
      if (kind !== 'manifest') continue;
      const tag = { digest, mediaType: MANIFEST, size, checked: now, ...known };
      yield [slot, keys.tagKey('latest'), forms.tagForm.encode(tag)];
      yield [keys.CATALOGUE_SLOT, keys.catalogueKey(repository), forms.catalogueForm.encode({ repository })];
    }
    const bytes = objects.reduce((sum, { size }) => sum + size, 0);
    const sum = { bytes, blobs: objects.length, reserved: 0, changes: objects.length };
    yield [inventory, keys.SUM_KEY, forms.sumForm.encode(sum)];
  }

  mkdirSync(join(root, 'entrepot'), { recursive: true });
  writeFileSync(join(root, 'entrepot/layout.json'), JSON.stringify({ layout: LAYOUT, writtenBy: 'the bench' }));
  await write(join(root, 'entrepot/metadata'), entries(), Infinity, {});
  for (const { digest, content } of objects) writeObject(root, digest, content());
}
