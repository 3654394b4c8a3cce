import { setFlagsFromString, getHeapStatistics } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { drawFrom } from '../faults/mutated-requests.ts';
import { readCorpus } from './corpus.ts';
import { inHand } from './in-hand.ts';
import { parsersCalled } from './parsers.ts';
import { createTarget, shrink, type Finding, type Tally } from './round.ts';

/** What a worker is told. */
export interface Order {
  readonly seed: number;
  readonly names: readonly string[];
  readonly corpus: string;
  /** The file in which it says what it has in hand. */
  readonly hand: string;
  /** Each parser's, in each round. */
  readonly turnMs: number;
}

/** What it tells: at once what it has found, and after each round what all have done and what is still held. */
export type Told =
  | { readonly kind: 'finding'; readonly finding: Finding }
  | { readonly kind: 'round'; readonly tallies: readonly Tally[]; readonly heapBytes: number; readonly rssBytes: number };

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

if (process.send !== undefined) process.once('message', (order: Order) => void work(order, (told) => process.send?.(told)));

async function work({ seed, names, corpus, hand: handFile, turnMs }: Order, tell: (told: Told) => void): Promise<never> {
  const draw = drawFrom(createSeededRandom(seed));
  const hand = inHand(handFile);
  const targets = (await parsersCalled(names)).map((parser) => createTarget(parser, readCorpus(corpus, parser.name)));
  const told = new Set<string>();
  const tellOnce = async (at: number, finding: Finding | undefined): Promise<void> => {
    hand.rest();
    const target = targets[at];
    if (finding === undefined || target === undefined) return;
    // One fault has many inputs.
    const key = `${finding.parser} ${finding.what.split('\n').slice(0, 2).join(' ').replaceAll(/\d+/g, '0')}`;
    if (told.has(key)) return;
    told.add(key);
    tell({ kind: 'finding', finding: await shrink(target.parser, finding) });
  };

  for (const [at, { parser, read }] of targets.entries())
    for (const input of [...(parser.seeds ?? []), ...readCorpus(corpus, parser.name)]) {
      hand.put(at, input);
      await tellOnce(at, await read(input));
    }
  for (;;) {
    for (const [at, target] of targets.entries()) {
      for (const end = performance.now() + turnMs; performance.now() < end;) {
        const finding = await target.next(draw, (input) => hand.put(at, input));
        if (finding !== undefined) await tellOnce(at, finding);
      }
      hand.rest();
      // What was left to timers and microtasks must not count as held.
      await new Promise((resolve) => setImmediate(resolve));
    }
    tell({
      kind: 'round',
      tallies: targets.map(({ tally }) => ({ ...tally })),
      heapBytes: heldBytes(),
      rssBytes: process.memoryUsage.rss(),
    });
  }
}

/** After everything that is not held is gone. */
function heldBytes(): number {
  collectGarbage();
  collectGarbage();
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
}
