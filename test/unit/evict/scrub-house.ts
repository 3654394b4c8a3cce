import { scrubRound, type ScrubDeps, type ScrubRound } from '../../../src/evict/scrub.ts';
import { Scrubber, type ScrubberDeps } from '../../../src/evict/scrubber.ts';
import type { ScrubEvent, ScrubReport, ScrubStep } from '../../../src/evict/scrub-events.ts';
import { takeTurn } from '../../../src/evict/turn.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { randomId } from '../../../src/system/random.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { createHouse, type HouseOptions } from '../pull/house.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

export type ScrubHouse = Awaited<ReturnType<typeof createScrubHouse>>;

const HOUR = 3_600_000;

/** Pulling and scrubbing over fakes, in one process or, with the same disk and metadata, in several. */
export async function createScrubHouse(options: HouseOptions) {
  const house = await createHouse(options);
  const { clock, disk, blobs, records, pulls, store } = house;
  const told: ScrubReport[] = [];
  const seen = { entered: 0 };
  const deps: ScrubberDeps & ScrubDeps = {
    clock,
    blobs,
    records,
    holder: `host ${options.process ?? 0} s`,
    isDead: () => false,
    report: (event) => void told.push(event),
    refill: pulls.refill,
    forget: (digest) => store.forget(digest),
    onEntered: () => void (seen.entered += 1),
  };
  const pathOf = (digest: Digest): string => `/data/entrepot/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;
  const random = createSeededRandom(91);
  return {
    ...house,
    deps,
    told,
    /** How often the cache turned out to hold more than was counted. */
    entered: () => seen.entered,
    pathOf,
    scrubber: (more: Partial<ScrubberDeps> = {}) => new Scrubber({ ...deps, ...more }),
    /** All steps of one round but those of progress, and the whole. */
    async scrub(asked: Partial<ScrubRound> = {}): Promise<{ found: readonly ScrubStep[]; whole: ScrubEvent | undefined }> {
      const turn = await takeTurn('scrub', deps);
      const steps: ScrubStep[] = [];
      const round = { bookmark: { started: clock.now() }, repair: true, signal: new AbortController().signal, ...asked };
      try {
        for await (const step of scrubRound(deps, turn, round)) steps.push(step);
      } finally {
        await turn.end();
      }
      const whole = steps.find((step) => step.kind === 'scrubbed');
      return { found: steps.filter(({ kind }) => kind !== 'progress' && kind !== 'scrubbed'), whole };
    },
    /** One bit, without a trace in time or size. */
    async flip(digest: Digest, at: number): Promise<void> {
      const file = await disk.open(pathOf(digest), 'update');
      const byte = Buffer.alloc(1);
      await file?.read(byte, at);
      byte[0]! ^= 4;
      await file?.write(byte, at);
      await file?.close();
    },
    /** A file in the place of a blob, with nothing else. */
    async orphan(size: number): Promise<Digest> {
      const bytes = random.bytes(size);
      const part = await blobs.part(randomId(random), false);
      await part.write(bytes, 0);
      await part.publish(digestOf(bytes));
      part.release();
      return digestOf(bytes);
    },
    hours: (count: number) => clock.advance(count * HOUR),
  };
}
