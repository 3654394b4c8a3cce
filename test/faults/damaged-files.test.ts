import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { randomBlob } from '../fakes/images.ts';
import { sized } from '../scenarios/acceptance.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { ALPINE, blobPath, fileOf, manifestPath } from '../scenarios/paths.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { routesTo } from '../scenarios/settings.ts';

const own = { settings: null, timeoutMs: 30_000 };

type Damage = readonly [name: string, damage: (path: string) => Promise<void>];

async function flipBit(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at]! ^= 1;
  await writeFile(path, bytes);
}

/** Started again, so that nothing is at hand in memory: what it then serves comes from the file. */
async function startWith(stage: Stage, fill: (server: RunningProcess) => Promise<void>): Promise<RunningProcess> {
  const first = await stage.startProcess(routesTo(stage.upstream));
  await fill(first);
  await first.settled();
  await first.stop();
  return stage.startProcess(routesTo(stage.upstream));
}

/**
 * What is promised of a damaged file: a manifest is hashed whenever it is read from disk; a blob's file is missed when it is
 * gone, or has another size, or is changed; one that nobody has hashed for an hour is hashed beside its first reader.
 */
describe('[P81] a cached file that is damaged behind our back', () => {
  const damages: readonly Damage[] = [
    ['has a bit flipped', (path) => flipBit(path, 40)],
    ['is cut short', (path) => truncate(path, 100)],
    ['is gone', (path) => rm(path)],
    ...sized<readonly Damage[]>([], [['is empty', (path) => truncate(path, 0)]]),
  ];

  for (const [name, damage] of damages) {
    scenario(
      `[R39] a manifest whose file ${name} is fetched again, and never served wrong`,
      async (stage) => {
        const image = stage.upstream.image(ALPINE, '3');
        const pull = async (server: RunningProcess): Promise<void> => {
          for (const reference of ['3', image.top.digest]) {
            const reply = await server.get(manifestPath(reference));
            expect([reply.status, await reply.sha256()]).toEqual([200, image.top.digest]);
          }
        };
        const server = await startWith(stage, pull);
        await damage(fileOf(stage, image.top));
        await pull(server);
        expect(digestOf(await readFile(fileOf(stage, image.top)))).toBe(image.top.digest);
        // Healed: with the upstream gone it is there.
        await stage.upstream.down();
        await pull(server);
      },
      own,
    );
  }

  for (const [name, damage] of damages) {
    scenario(
      `a blob whose file ${name} is fetched again, without an error to the client`,
      async (stage) => {
        const blobs = [randomBlob(90_000, 1), randomBlob(2_000_000, 2)];
        for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
        const pull = async (server: RunningProcess): Promise<void> => {
          for (const blob of blobs) {
            const reply = await server.get(blobPath(blob));
            expect([reply.status, await reply.sha256()]).toEqual([200, blob.digest]);
          }
          await server.settled();
        };
        const server = await startWith(stage, pull);
        // Held before and asked for before: also a server that has just served it notices.
        await pull(server);
        expect(stage.upstream.hits('GET blob')).toBe(2);
        for (const blob of blobs) await damage(fileOf(stage, blob));
        await pull(server);
        expect(stage.upstream.hits('GET blob')).toBe(4);
        const ranged = await server.get(blobPath(blobs[1]!), { headers: { range: 'bytes=-1000' } });
        expect(Buffer.compare(await ranged.bytes(), blobs[1]!.bytes.subarray(-1000))).toBe(0);
        expect(stage.upstream.hits('GET blob')).toBe(4);
        for (const blob of blobs) expect(digestOf(await readFile(fileOf(stage, blob)))).toBe(blob.digest);
      },
      own,
    );
  }

  scenario(
    'everything below the directory of blobs is gone: pulled again, and kept again',
    async (stage) => {
      const image = stage.upstream.image(ALPINE, '3', { layers: [300_000] });
      const pull = async (server: RunningProcess): Promise<void> => {
        expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
        expect(await (await server.get(blobPath(image.layers[0]!))).sha256()).toBe(image.layers[0]!.digest);
        await server.settled();
      };
      const server = await startWith(stage, pull);
      await pull(server);
      const blobs = join(stage.directory, 'data', 'entrepot', 'blobs');
      for (const name of await readdir(blobs)) await rm(join(blobs, name), { recursive: true });
      await pull(server);
      await stage.upstream.down();
      await pull(server);
    },
    own,
  );
});
