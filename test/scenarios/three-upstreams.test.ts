import { describe, expect } from 'vitest';
import { table } from './acceptance.ts';
import { scenario } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import { resumesOf, standThree } from './three-upstreams.ts';

describe('[#3.1] one upstream dies, one stalls, one cuts every body', () => {
  scenario(
    'a pull of five layers: one clean response for each request, and the metric says who went on',
    async (stage) => {
      const three = await standThree(stage, ALPINE);
      const server = await stage.start(three.settings);
      const { image } = three;
      expect(await (await server.get(manifestPath('latest'))).sha256()).toBe(image.top.digest);
      const replies = await Promise.all([image.config, ...image.layers].map((blob) => server.get(blobPath(blob))));
      const digests = await Promise.all(replies.map((reply) => reply.sha256()));
      expect(digests).toEqual([image.config, ...image.layers].map(({ digest }) => digest));
      expect(replies.map(({ status }) => status)).toEqual(Array(6).fill(200));
      await three.death;
      await server.settled();

      const metrics = await server.metrics();
      const { said, seen } = resumesOf(three, metrics);
      expect(said).toEqual(seen);
      expect(said['stalling']).toBeGreaterThan(0);
      expect(said['cutting']).toBeGreaterThan(1);
      expect(metrics.sum('entrepot_upstream_errors_total', { upstream: 'stalling', reason: 'stall' })).toBeGreaterThan(0);
      expect(metrics.sum('entrepot_upstream_errors_total', { upstream: 'cutting', reason: 'cut' })).toBeGreaterThan(1);
      expect(metrics.sum('entrepot_upstream_errors_total', { upstream: 'killed' })).toBeGreaterThan(0);
      expect(metrics.sum('entrepot_verify_failures_total')).toBe(0);
      table('three upstreams', { ...said, 'requests of the client': replies.length + 1, 'responses that broke': 0 });
    },
    { settings: null },
  );
});
