import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TagMove } from '../../../src/metadata/records.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { standing } from '../../../src/metadata/standing.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const digest = (text: string) => digestOf(Buffer.from(text));

/** Moves as they came, such as `a@0 b@50 -b@90`, newest first as the records have them. */
function moves(text: string): TagMove[] {
  return text
    .split(' ')
    .map((word) => {
      const [, gone, name = '', at] = /^(-?)(\w)@(\d+)$/.exec(word)!;
      return { at: Number(at), digest: digest(name), upstream: 'hub', ...(gone === '-' ? { deleted: true } : {}) };
    })
    .toReversed();
}

function told(history: string, at: number, cooldownMs = 0, released?: { name: string; at: number }): string {
  const release = released === undefined ? undefined : { digest: digest(released.name), at: released.at };
  const found = standing(history === '' ? [] : moves(history), at, cooldownMs, release);
  if (found.kind === 'stood') return NAMES.find((name) => digest(name) === found.digest)!;
  return `${found.kind} ${found.kind === 'cooling' ? found.until : found.since}`;
}

describe('as of a moment', () => {
  test.each([
    ['a@10 b@50', 9, 'unknown 10'],
    ['a@10 b@50', 10, 'a'],
    ['a@10 b@50', 49, 'a'],
    ['a@10 b@50', 50, 'b'],
    ['a@10 -a@20 b@50', 30, 'deleted 20'],
    ['a@10 -a@20 b@50', 60, 'b'],
    ['', 60, 'unknown undefined'],
  ])('%s at %i: %s', (history, at, expected) => expect(told(history, at)).toBe(expected));
});

describe('with a cooldown of 72', () => {
  test.each([
    ['what is too new gives way to what stood before', 'a@0 b@100', 171, 'a'],
    ['after it the new one counts', 'a@0 b@100', 172, 'b'],
    ['nothing before it: not at all, until', 'a@100', 171, 'cooling 172'],
    ['what was replaced sooner never counts', 'a@0 b@100 c@105', 176, 'a'],
    ['not even where nothing else stood', 'b@100 c@105', 176, 'cooling 177'],
    ['said again is not new', 'a@0 a@100', 171, 'a'],
    ['a stay is not broken by being seen twice', 'a@0 b@100 b@150', 172, 'b'],
    ['one that comes back begins anew', 'a@0 b@100 a@101', 110, 'a'],
    ['nothing from before a deletion', 'a@0 -a@90 b@100', 171, 'cooling 172'],
    ['a deletion holds at once', 'a@0 -a@90', 91, 'deleted 90'],
  ])('%s: %s at %i is %s', (_, history, at, expected) => expect(told(history, at, 72)).toBe(expected));

  test('what a person released counts from then on, and stays so once it was replaced', () => {
    expect(told('a@0 b@100', 110, 72, { name: 'b', at: 110 })).toBe('b');
    expect(told('a@0 b@100', 109, 72, { name: 'b', at: 110 })).toBe('a');
    expect(told('a@0 b@100 c@120', 130, 72, { name: 'b', at: 110 })).toBe('b');
    expect(told('a@0 b@100', 110, 72, { name: 'c', at: 110 })).toBe('a');
  });
});

test('whatever the history, the answer was there for the whole cooldown, and later moves change nothing', () => {
  const history = fc
    .array(fc.record({ name: fc.constantFrom(...NAMES), wait: fc.integer({ min: 1, max: 100 }), gone: fc.nat(9) }), {
      maxLength: 12,
    })
    .map((steps) => {
      let at = 0;
      return steps
        .map(({ name, wait, gone }): TagMove => {
          at += wait;
          return { at, digest: digest(name), upstream: 'hub', ...(gone === 0 ? { deleted: true } : {}) };
        })
        .toReversed();
    });
  fc.assert(
    fc.property(history, fc.nat(1500), fc.nat(150), (all, at, cooldown) => {
      const found = standing(all, at, cooldown, undefined);
      const before = all.filter((move) => move.at <= at);
      expect(standing(before, at, cooldown, undefined)).toEqual(
        before.length > 0 ? found : { kind: 'unknown', since: undefined },
      );
      if (found.kind !== 'stood') return;
      const pointedTo = (moment: number) => before.find((move) => move.at <= moment);
      const starts = before.filter((move) => move.digest === found.digest && move.deleted !== true).map((move) => move.at);
      expect(
        starts.some(
          (start) =>
            Array.from({ length: cooldown + 1 }, (_, after) => start + after).every(
              (moment) => moment === start + cooldown || (moment <= at && pointedTo(moment)?.digest === found.digest),
            ) && start + cooldown <= at,
        ),
      ).toBe(true);
    }),
    { numRuns: 300 },
  );
});
