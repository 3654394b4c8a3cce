import { expect, test } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { seed, sized, table } from '../scenarios/acceptance.ts';
import { times } from '../scenarios/harness.ts';
import { createPlace, faultsOf, heldDigests, imageOf, partsOf, pushWhole, type PushedImage } from './push-and-collect.ts';

const KILLS = sized(4, 300);
const PUSHERS = 4;
const REPOSITORIES = ['team/a', 'team/b'];
/** Long, since a push that is slower than half an hour may be refused; what is to be old gets so between two starts. */
const HOUR_MS = 10_000;
/** Pushes and collections that a server ends at most before it is killed, and how long the instant is off from the end of one. */
const PIECES = 40;
const OFF_MS = 40;

test(
  `[R07] ${KILLS} times kill -9 while pushes and collections run: every acknowledged push is whole`,
  async () => {
    const place = createPlace(HOUR_MS);
    const random = createSeededRandom(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)]!;
    const layers = times(40, (at) => randomBlob(20_000 + at * 4_000, seed * 1000 + at));
    /** By repository and tag: what was acknowledged, and what was under way, of which either may stand. */
    const standing = new Map<string, readonly PushedImage[]>();
    const counts = { kills: 0, 'pushes acknowledged': 0, 'pushes cut': 0, collections: 0, 'collections cut': 0, taken: 0 };
    const acknowledged = new Set<string>();
    let pieces = 0;
    let onPiece: () => void = () => undefined;
    const piece = (): void => {
      pieces += 1;
      onPiece();
    };
    const worked = (wanted: number): Promise<void> =>
      new Promise((resolve) => {
        const before = pieces;
        onPiece = () => void (pieces - before >= wanted && resolve());
        onPiece();
      });
    let round = 0;

    const pushSome = async (server: Parameters<typeof pushWhole>[0], nth: number, isOver: () => boolean): Promise<void> => {
      while (!isOver()) {
        round += 1;
        const image = imageOf(pick(REPOSITORIES), `p${nth}-${round % 3}`, [pick(layers), pick(layers)], round);
        const name = `${image.repository}:${image.tag}`;
        const before = standing.get(name) ?? [];
        const began = performance.now();
        standing.set(name, [...before, image]);
        try {
          await pushWhole(server, image, pick(REPOSITORIES), () => Promise.resolve());
          standing.set(name, [image]);
          acknowledged.add(name);
          counts['pushes acknowledged'] += 1;
          piece();
        } catch (error) {
          counts['pushes cut'] += 1;
          // Cut is what a kill does to a client; an answer that refuses is what it must not do.
          const isRefused = error instanceof Error && error.message.startsWith('a push was refused');
          if (isRefused && performance.now() - began < HOUR_MS / 2) throw error;
        }
      }
    };
    const collectSome = async (isOver: () => boolean): Promise<void> => {
      while (!isOver()) {
        try {
          const last = (await place.collect(true)).at(-1);
          if (last?.kind === 'collected') {
            counts.collections += 1;
            counts.taken += last.blobs;
            piece();
          } else counts['collections cut'] += 1;
        } catch {
          counts['collections cut'] += 1;
        }
      }
    };

    try {
      for (; counts.kills < KILLS; counts.kills += 1) {
        if (random.fraction() < 0.5) place.pass(1.1);
        const server = await place.start();
        if (counts.kills % 10 === 0) await mustBeWhole(server);
        let over = false;
        const isOver = (): boolean => over;
        const work = Promise.all([collectSome(isOver), ...times(PUSHERS, (nth) => pushSome(server, nth, isOver))]);
        await worked(Math.floor(random.fraction() * PIECES));
        await new Promise((resolve) => setTimeout(resolve, random.fraction() * OFF_MS));
        over = true;
        expect(await server.kill('SIGKILL')).toBe('SIGKILL');
        await work;
      }

      // An upload's age limit is a week; what was left marked, linked or listed goes with what is unneeded.
      place.pass(1.1);
      const server = await place.start();
      await mustBeWhole(server);
      await place.collect(true);
      await mustBeWhole(server);
      const pushed = [...standing.values()].flat();
      const may = new Set(pushed.flatMap(({ manifest, blobs }) => [manifest, ...blobs].map(({ digest }) => digest as string)));
      expect(heldDigests(place.directory).filter((digest) => !may.has(digest))).toEqual([]);
      expect(await server.kill('SIGTERM')).toBe(0);
      place.pass(170);
      const weekLater = await place.start();
      await place.collect(true);
      expect(partsOf(place.directory)).toEqual([]);
      await mustBeWhole(weekLater);
      expect(await weekLater.kill('SIGTERM')).toBe(0);
      expect(counts['pushes acknowledged']).toBeGreaterThan(0);
      table('kill -9 while pushes and collections run', { ...counts, 'acknowledged and not whole': 0 });
    } finally {
      place.remove();
    }

    /** Each tag points to one of the images that it may, and that one is whole. */
    async function mustBeWhole(server: Parameters<typeof pushWhole>[0]): Promise<void> {
      for (const [name, images] of standing) {
        const [repository, tag] = name.split(':');
        const reply = await server.get(`/v2/${repository}/manifests/${tag}`);
        const digest = reply.status === 200 ? await reply.sha256() : (await reply.bytes(), undefined);
        // Only a push that was never acknowledged may be absent.
        if (digest === undefined && !acknowledged.has(name)) continue;
        const found = images.find(({ manifest }) => manifest.digest === digest);
        expect(found, `${name} is ${digest ?? reply.status}`).toBeDefined();
        expect(await faultsOf(server, found!, tag!)).toEqual([]);
      }
    }
  },
  sized(180_000, 1_800_000),
);
