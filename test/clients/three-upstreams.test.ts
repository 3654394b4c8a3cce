import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { table } from '../scenarios/acceptance.ts';
import { scenario } from '../scenarios/harness.ts';
import { resumesOf, standThree } from '../scenarios/three-upstreams.ts';
import { DOCKER, startDocker } from './docker.ts';
import { needs } from './program.ts';
import { configure } from './stage.ts';

describe('[#3.1] Docker, while one upstream dies, one stalls, one cuts every body', () => {
  scenario(
    'pulls an image of five layers, asks for each but once, and sees each response whole',
    async (stage) => {
      const three = await standThree(stage, 'library/ubuntu');
      const server = await stage.startProcess(three.settings);
      const place = async (name: string): Promise<string> => {
        const own = join(stage.directory, name);
        await mkdir(own, { recursive: true });
        return own;
      };
      const config = join(stage.directory, 'data', 'config.yml');
      const docker = await startDocker({
        place,
        configure: (kind) => configure(kind, server.url, config, stage.directory),
        defer: stage.defer,
      });

      const { image } = three;
      expect(await docker('pull', 'ubuntu')).toContain(image.top.digest);
      await three.death;
      await server.settled();

      const answered = server.records.filter(
        ({ msg, type, method }) => msg === 'request' && type === 'blob' && method === 'GET',
      );
      const wanted = [image.config, ...image.layers].map(({ digest }) => digest);
      expect(answered).toHaveLength(wanted.length);
      expect(new Set(answered.map(({ digest }) => digest))).toEqual(new Set(wanted));
      expect(answered.filter(({ status, aborted }) => status !== 200 || aborted !== false)).toEqual([]);
      const { said, seen } = resumesOf(three, await server.metrics());
      expect(said).toEqual(seen);
      expect(said['stalling']! + said['cutting']!).toBeGreaterThan(1);
      table('docker pull, three upstreams', { ...said, 'blobs asked for': answered.length, 'responses that broke': 0 });
    },
    { settings: null, timeoutMs: 120_000, ...needs(DOCKER) },
  );
});
