import { BLOBS, IMAGES } from './content.ts';
import type { History } from './history.ts';
import { play, type Verdict } from './play.ts';
import { PLAIN } from './settings.ts';
import type { Doing, Step } from './step.ts';

/** What is done before the power can go, and what it goes in. */
export interface Course {
  readonly before: readonly Doing[];
  readonly during: readonly Doing[];
  /** Of the cache. */
  readonly maxBytes?: number;
}

const OWN = 'own.io/team/app';
const pullA: Doing = { do: 'pull-image', repository: 'docker.io/library/a', reference: 'v1' };
const pullB: Doing = { do: 'pull-image', repository: 'docker.io/library/b', reference: 'latest' };

export const COURSES: Readonly<Record<string, Course>> = {
  'a fill': { before: [], during: [pullA] },
  'a push': {
    before: [],
    during: [
      { do: 'push-image', repository: OWN, image: 'i2', tags: ['latest'], way: 'chunked' },
      { do: 'delete', repository: OWN, kind: 'manifest', reference: 'latest' },
    ],
  },
  'an eviction': { before: [pullB, { do: 'settle' }], during: [pullA], maxBytes: 100_000 },
  'a collection': {
    before: [
      { do: 'push-image', repository: OWN, image: 'i1', tags: ['latest'], way: 'monolithic' },
      { do: 'push-image', repository: OWN, image: 'i2', tags: [], way: 'monolithic' },
      { do: 'push-blob', repository: OWN, blob: BLOBS.length - 1, way: 'monolithic' },
      { do: 'settle' },
      { do: 'jump', ms: 2 * 3_600_000 },
    ],
    during: [{ do: 'collect', dryRun: false, deleteUntagged: true }],
  },
  'a scrub that repairs': {
    before: [pullA, { do: 'settle' }, { do: 'damage', digest: IMAGES[1]!.blobs[1]!.digest, how: 'flip' }],
    during: [{ do: 'scrub', repair: true }],
  },
};

/** Plays a course with the power gone after `calls` calls; `undefined` where it ended before. */
export async function losePower(course: Course, calls: number, seed: number): Promise<Verdict | undefined> {
  const verdict = await play(historyOf(course, calls, seed));
  return verdict.trace.some((line) => line.endsWith(' waiting') && line.includes('down by power')) ? verdict : undefined;
}

function historyOf({ before, during, maxBytes }: Course, calls: number, seed: number): History {
  const steps: Step[] = [
    ...before.map((doing) => ({ doing, gap: 500 })),
    { doing: { do: 'crash', how: 'power', after: calls }, gap: 0 },
    ...during.map((doing) => ({ doing, gap: 300 })),
  ];
  return { nature: { seed, flavour: 'lmdb', tempo: 'instant', settings: { ...PLAIN, maxBytes } }, steps };
}
