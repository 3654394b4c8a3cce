import { describe, expect } from 'vitest';
import { randomBlob, type Blob } from '../fakes/images.ts';
import { scenario, type Stage } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { routesTo } from './settings.ts';

const MIB = 1024 * 1024;
const small = (upstream: { readonly url: string }) => ({ ...routesTo(upstream), cache: { maxsize: '64MiB', keepfree: '0%' } });

function add({ upstream }: Stage, blob: Blob): Blob {
  upstream.blob(ALPINE, blob);
  return blob;
}

async function pull({ server }: Stage, path: string): Promise<{ readonly bytes: Buffer; readonly status: string }> {
  const reply = await server.get(path);
  return { bytes: await reply.bytes(), status: String(reply.headers['cache-status']) };
}

describe('what the cache has no room for', () => {
  scenario(
    '[promise 5] passes through, each time, and nothing counts as trouble',
    async (stage) => {
      const { upstream, server } = stage;
      const bare = add(stage, randomBlob(65 * MIB, 3));
      const image = upstream.image(ALPINE, '3', { layers: [66 * MIB] });
      const [layer] = image.layers as [Blob];
      const other = add(stage, randomBlob(300_000, 4));
      await pull(stage, manifestPath('3'));
      for (const large of [bare, layer, bare, layer]) {
        const { bytes, status } = await pull(stage, blobPath(large));
        expect(bytes.equals(large.bytes)).toBe(true);
        expect(status).toMatch(/fwd=bypass/);
        expect(status).not.toContain('stored');
        await server.settled();
      }
      expect(
        upstream.seen(layer.digest).map(({ method }) => method),
        'its transfer is begun once a pull',
      ).toEqual(['HEAD', 'GET', 'HEAD', 'GET']);
      const kept = await pull(stage, blobPath(other));
      expect(kept.bytes.equals(other.bytes)).toBe(true);
      await server.settled();
      expect((await pull(stage, blobPath(other))).status).toContain('hit');
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_bypass_total', { reason: 'room' })).toBeGreaterThan(0);
      expect(metrics.sum('entrepot_degraded', { reason: 'storage' })).toBe(0);
    },
    { settings: small, timeoutMs: 60_000 },
  );

  scenario(
    '[promise 5] while everything is in use: pulls go on, within the limit, and caching comes back by itself',
    async (stage) => {
      const { upstream, server } = stage;
      const blobs = Array.from({ length: 10 }, (_, at) => add(stage, randomBlob(10 * MIB, at + 10)));
      const image = upstream.image(ALPINE, '3', { layers: [5000] });
      const answers = await Promise.all(blobs.map(async (blob) => ({ blob, ...(await pull(stage, blobPath(blob))) })));
      for (const { blob, bytes } of answers) expect(bytes.equals(blob.bytes)).toBe(true);
      expect((await pull(stage, manifestPath('3'))).bytes.equals(image.top.bytes)).toBe(true);
      await server.settled();
      const metrics = await server.metrics();
      const counted = ['cached', 'partial', 'quarantine'].map((kind) => metrics.sum('entrepot_storage_bytes', { kind }));
      expect(counted.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(64 * MIB);
      expect(metrics.sum('entrepot_bypass_total', { reason: 'room' })).toBeGreaterThan(0);
    },
    { settings: small, timeoutMs: 60_000 },
  );
});
