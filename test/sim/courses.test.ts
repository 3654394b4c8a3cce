import { expect, test } from 'vitest';
import { BLOBS } from './content.ts';
import { play } from './play.ts';
import { PLAIN } from './settings.ts';
import type { Doing } from './step.ts';

const A = 'docker.io/library/a';
const leaving = (blob: number, repository: string, leavesAfter: number): Doing => ({
  do: 'pull',
  times: 1,
  wish: { method: 'GET', repository, kind: 'blob', reference: BLOBS[blob]!.digest, leavesAfter },
});

const PRIVATE = 'docker.io/priv/x';
const claimed = [8, 4, 8, 8].map((blob) => leaving(blob, 'thief.io/x/y', Infinity));

/** What is drawn too seldom to be left to chance. */
test.each<[string, readonly Doing[], number?]>([
  ['a client leaves while it waits', [leaving(5, A, 0)]],
  ['a client leaves in the middle', [leaving(9, 'docker.io/library/c', 1)]],
  [
    'a chain of liars',
    [
      { do: 'mood', upstream: 'hub-a', mood: 'liar' },
      { do: 'mood', upstream: 'hub-b', mood: 'liar' },
      ...[0, 2, 4, 5, 8, 9].map((blob): Doing => leaving(blob, blob === 2 || blob === 5 ? A : 'docker.io/library/c', Infinity)),
      leaving(4, 'docker.io/priv/x', Infinity),
      leaving(8, 'docker.io/priv/x', Infinity),
      leaving(3, 'docker.io/library/b', Infinity),
      leaving(6, 'docker.io/library/b', Infinity),
    ],
  ],
  [
    'a tag moves, and its ttl runs out',
    [
      { do: 'pull-image', repository: A, reference: 'latest' },
      { do: 'move', upstream: 'hub-a', repository: 'library/a', tag: 'latest', image: 'i1' },
      { do: 'move', upstream: 'hub-b', repository: 'library/a', tag: 'latest', image: 'i1' },
      { do: 'pull-image', repository: A, reference: 'latest' },
      { do: 'settle' },
      { do: 'pull-image', repository: A, reference: 'latest' },
    ],
  ],
  ['a registry claims what is held', [leaving(8, PRIVATE, Infinity), leaving(4, PRIVATE, Infinity), ...claimed]],
  [
    'a registry that a client has named is silent, while others pull what it was asked for',
    [
      { do: 'mood', upstream: 'thief', mood: 'silent' },
      ...[8, 4].flatMap((blob) => [
        leaving(blob, 'thief.io/x/y', Infinity),
        ...[0, 1, 2].map(() => leaving(blob, PRIVATE, Infinity)),
      ]),
    ],
    25,
  ],
  ['a registry claims what is arriving', [leaving(8, PRIVATE, Infinity), ...claimed], 25],
])('%s', async (_, doings, gap = 35_000) => {
  const steps = doings.map((doing) => ({ doing, gap }));
  const nature = { seed: 1, flavour: 'lmdb', tempo: 'instant', settings: PLAIN } as const;
  const { faults, trace } = await play({ nature, steps: [{ doing: { do: 'settle' }, gap: 5 }, ...steps] });
  expect(faults, trace.join('\n')).toEqual([]);
});
