import { expect, test } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { full, seed, sized, table } from '../scenarios/acceptance.ts';
import { times } from '../scenarios/harness.ts';
import { createPlace, faultsOf, heldDigests, imageOf, pushWhole, type PushedImage } from './push-and-collect.ts';

const PUSHERS = 8;
const REPOSITORIES = ['team/a', 'team/b', 'team/c'];
/** What an hour of grace lasts here. */
const HOUR_MS = sized(2_000, 4_000);
const LASTS_MS = sized(6_000, 120_000);

/**
 * Pushers share layers over repositories, delete what they pushed and push it again, while one collection follows another.
 * What is acknowledged and not deleted must be whole at every look; afterwards all else must be gone.
 */
test(
  `[R28] collection races ${PUSHERS} pushers for ${LASTS_MS / 1000} s: nothing needed goes, all else does`,
  async () => {
    const place = createPlace(HOUR_MS);
    const server = await place.start();
    try {
      const layers = times(60, (at) => randomBlob(2_000 + at * 300, seed * 1000 + at));
      const end = performance.now() + LASTS_MS;
      const standing = new Map<string, PushedImage>();
      const faults: string[] = [];
      const counts = { pushes: 0, deletions: 0, looks: 0, 'too slow': 0, collections: 0, taken: 0, 'bytes taken': 0 };

      const pusher = async (nth: number): Promise<void> => {
        const random = createSeededRandom(seed * 100 + nth);
        const pick = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)]!;
        const pause = async (): Promise<void> => {
          // Now and then a push takes its time; four of these are less than half the grace.
          const ms = random.fraction() < 0.1 ? random.fraction() * HOUR_MS * 0.08 : random.fraction() * 5;
          await new Promise((resolve) => setTimeout(resolve, ms));
        };
        for (let round = 0; performance.now() < end; round += 1) {
          const image = imageOf(pick(REPOSITORIES), `p${nth}`, [pick(layers), pick(layers)], nth * 100_000 + round);
          const path = `/v2/${image.repository}/manifests/p${nth}`;
          const name = `${image.repository}:p${nth}`;
          const began = performance.now();
          const before = standing.get(name);
          try {
            standing.delete(name);
            await pushWhole(server, image, random.fraction() < 0.5 ? pick(REPOSITORIES) : undefined, pause);
            standing.set(name, image);
            counts.pushes += 1;
            if (random.fraction() < 0.3) {
              faults.push(...(await faultsOf(server, image, image.tag)));
              counts.looks += 1;
            }
            if (random.fraction() < 0.6) {
              standing.delete(name);
              await (await server.get(path, { method: 'DELETE' })).bytes();
              counts.deletions += 1;
              await pause();
            }
          } catch (error) {
            if (before !== undefined && !standing.has(name)) standing.set(name, before);
            // Whoever is slower than what a HEAD promises may be refused; a machine that is busy with other things makes it so.
            if (performance.now() - began > HOUR_MS / 2) counts['too slow'] += 1;
            else faults.push(`after ${Math.round(performance.now() - began)} ms: ${String(error)}`);
          }
        }
      };
      const collect = async (): Promise<void> => {
        const steps = await place.collect(true);
        counts.collections += 1;
        const last = steps.at(-1);
        if (last?.kind !== 'collected') throw new Error('a collection was broken off');
        counts.taken += last.blobs;
        counts['bytes taken'] += last.bytes;
      };
      const collector = async (): Promise<void> => {
        while (performance.now() < end) await collect();
      };
      await Promise.all([collector(), ...times(PUSHERS, pusher)]);
      for (const image of standing.values()) faults.push(...(await faultsOf(server, image, image.tag)));
      expect(faults).toEqual([]);

      // The grace passes with nobody pushing: what is left is what is needed.
      await new Promise((resolve) => setTimeout(resolve, HOUR_MS * 1.1));
      await collect();
      const needed = new Set(
        [...standing.values()].flatMap(({ manifest, blobs }) => [manifest, ...blobs].map((one) => one.digest)),
      );
      expect(heldDigests(place.directory).sort()).toEqual([...needed].sort());
      for (const image of standing.values()) faults.push(...(await faultsOf(server, image, image.tag)));
      expect(faults).toEqual([]);
      expect((await place.collect(true)).map(({ kind }) => kind)).toEqual(['collected']);
      expect(counts.taken).toBeGreaterThan(sized(5, 500));
      table(`collection against ${PUSHERS} pushers (an hour of grace lasts ${HOUR_MS} ms)`, {
        ...counts,
        'images that stand at the end': standing.size,
        'needed and gone': 0,
        'unneeded and left': 0,
      });
    } finally {
      await server.stop();
      place.remove();
    }
  },
  full ? 300_000 : 60_000,
);
