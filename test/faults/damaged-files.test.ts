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

const own = { settings: null, timeoutMs: 60_000 };

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

  scenario(
    '[R39] a manifest whose file is changed, cut short or gone is fetched again, and never served wrong',
    async (stage) => {
      const cases = damages.map(([name, damage], at) => {
        const repository = `library/case${at}`;
        return { name, damage, repository, image: stage.upstream.image(repository, '3', { label: name }) };
      });
      const pull = async (server: RunningProcess, { name, repository, image }: (typeof cases)[number]): Promise<void> => {
        for (const reference of ['3', image.top.digest]) {
          const reply = await server.get(manifestPath(reference, repository));
          expect([name, reply.status, await reply.sha256()]).toEqual([name, 200, image.top.digest]);
        }
      };
      const server = await startWith(stage, async (first) => {
        for (const one of cases) await pull(first, one);
      });
      for (const one of cases) {
        await one.damage(fileOf(stage, one.image.top));
        await pull(server, one);
        expect([one.name, digestOf(await readFile(fileOf(stage, one.image.top)))]).toEqual([one.name, one.image.top.digest]);
      }
      // Healed: with the upstream gone it is there.
      await stage.upstream.down();
      for (const one of cases) await pull(server, one);
    },
    own,
  );

  scenario(
    'a blob whose file is changed, cut short or gone is fetched again, without an error to the client',
    async (stage) => {
      const cases = damages.map(([name, damage], at) => {
        const blobs = [randomBlob(90_000, 10 * at + 1), randomBlob(2_000_000, 10 * at + 2)];
        for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
        return { name, damage, blobs };
      });
      const pull = async (server: RunningProcess, { name, blobs }: (typeof cases)[number]): Promise<void> => {
        for (const blob of blobs) {
          const reply = await server.get(blobPath(blob));
          expect([name, reply.status, await reply.sha256()]).toEqual([name, 200, blob.digest]);
        }
        await server.settled();
      };
      const hits = ({ name, blobs }: (typeof cases)[number]) => [
        name,
        ...blobs.map(({ digest }) => stage.upstream.hits(`GET ${digest}`)),
      ];
      const server = await startWith(stage, async (first) => {
        for (const one of cases) await pull(first, one);
      });
      for (const one of cases) {
        const { name, damage, blobs } = one;
        // Held before and asked for before: also a server that has just served it notices.
        await pull(server, one);
        expect(hits(one)).toEqual([name, 1, 1]);
        for (const blob of blobs) await damage(fileOf(stage, blob));
        await pull(server, one);
        expect(hits(one)).toEqual([name, 2, 2]);
        const ranged = await server.get(blobPath(blobs[1]!), { headers: { range: 'bytes=-1000' } });
        expect([name, Buffer.compare(await ranged.bytes(), blobs[1]!.bytes.subarray(-1000))]).toEqual([name, 0]);
        expect(hits(one)).toEqual([name, 2, 2]);
        for (const blob of blobs) expect([name, digestOf(await readFile(fileOf(stage, blob)))]).toEqual([name, blob.digest]);
      }
    },
    own,
  );

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
