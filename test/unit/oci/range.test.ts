import { describe, expect, test } from 'vitest';
import { contentRange, parseRange, type RangeAnswer } from '../../../src/oci/range.ts';

const whole: RangeAnswer = { kind: 'whole' };
const unsatisfiable: RangeAnswer = { kind: 'unsatisfiable' };
const one = (from: number, to: number): RangeAnswer => ({ kind: 'one', from, to });
const many = (...ranges: [number, number][]): RangeAnswer => ({
  kind: 'many',
  ranges: ranges.map(([from, to]) => ({ from, to })),
});

describe('Range with a known size', () => {
  test.each<[string, string | undefined, number, RangeAnswer]>([
    ['P55', 'bytes=500-1499', 2000, one(500, 1500)],
    ['P55', 'bytes=0-0', 1, one(0, 1)],
    ['P55', 'BYTES = 0-9', 20, one(0, 10)],
    ['P56', 'bytes=500-', 2000, one(500, 2000)],
    ['P56', 'bytes=1999-', 2000, one(1999, 2000)],
    ['P57', 'bytes=-500', 2000, one(1500, 2000)],
    ['P57', 'bytes=-5000', 2000, one(0, 2000)],
    ['P57', 'bytes=-0', 2000, unsatisfiable],
    ['P58', 'bytes=2000-5000', 3000, one(2000, 3000)],
    ['P58', 'bytes=100-2000', 2000, one(100, 2000)],
    ['P59', 'bytes=5000-10000', 2000, unsatisfiable],
    ['P59', 'bytes=2000-', 2000, unsatisfiable],
    ['P59', 'bytes=500-0', 2000, unsatisfiable],
    ['P60', undefined, 10, whole],
    ['P60', '', 10, whole],
    ['P60', 'items=0-5', 10, whole],
    ['P60', 'bytes=abc', 10, whole],
    ['P60', 'bytes', 10, whole],
    ['P60', 'bytes=', 10, whole],
    ['P60', 'bytes=,', 10, whole],
    ['P60', 'bytes=-', 10, whole],
    ['P60', 'bytes=--5', 10, whole],
    ['P60', 'bytes=0-5-7', 10, whole],
    ['P60', 'bytes=+1-5', 10, whole],
    ['P60', 'bytes=0x1-5', 10, whole],
    ['P60', 'bytes=1e1-', 100, whole],
    ['P60', 'bytes=1 -5', 10, whole],
    ['P60', 'bytes=0-1,x', 10, whole],
    ['P60', 'bytes=0-1,5-2', 10, whole],
    ['P60', 'bytes=٠-٥', 10, whole],
    ['P61', 'bytes=0-99,200-299', 1000, many([0, 100], [200, 300])],
    ['P61', 'bytes=200-299, 0-99', 1000, many([200, 300], [0, 100])],
    ['P61', 'bytes=0-99,,\t-100', 1000, many([0, 100], [900, 1000])],
    ['P61', 'bytes=0-99,100-199', 1000, many([0, 100], [100, 200])],
    ['P61', 'bytes=0-99,5000-', 1000, many([0, 100])],
    ['P61', 'bytes=5000-,6000-', 1000, unsatisfiable],
    ['P62', 'bytes=0-99,99-100', 1000, whole],
    ['P62', 'bytes=500-599,0-500', 1000, whole],
    ['P62', 'bytes=0-,0-,0-', 1000, whole],
    ['P62', 'bytes=0-,-1', 1000, whole],
    ['P66', 'bytes=0-', 0, unsatisfiable],
    ['P66', undefined, 0, whole],
    ['P66', 'bytes=-5', 0, whole],
    ['P67', 'bytes=4294967296-4294967297', 2 ** 33, one(2 ** 32, 2 ** 32 + 2)],
    ['P67', 'bytes=-4294967297', 2 ** 40, one(2 ** 40 - 2 ** 32 - 1, 2 ** 40)],
    ['P67', 'bytes=9007199254740990-', 2 ** 53 - 1, one(2 ** 53 - 2, 2 ** 53 - 1)],
    ['P67', 'bytes=0-99999999999999999999999', 10, one(0, 10)],
    ['P67', 'bytes=99999999999999999999999-', 10, unsatisfiable],
    ['P67', `bytes=0-${'9'.repeat(400)}`, 10, one(0, 10)],
  ])('[%s] %s of %d', (_, header, size, answer) => {
    expect(parseRange(header, size)).toEqual(answer);
  });

  const list = (count: number): string => `bytes=${Array.from({ length: count }, (_, at) => `${2 * at}-${2 * at}`).join(',')}`;

  test('[P62] a hundred ranges pass, one more does not', () => {
    const answer = parseRange(list(100), 1000);
    expect(answer.kind === 'many' && answer.ranges.length).toBe(100);
    expect(parseRange(list(101), 1000)).toEqual(whole);
    expect(parseRange(list(5000), 20_000)).toEqual(whole);
    expect(parseRange(`bytes=0-0${','.repeat(1000)}`, 10)).toEqual(whole);
  });
});

test('[P55] Content-Range counts its end in', () => {
  expect(contentRange(500, 1500, 2000)).toBe('bytes 500-1499/2000');
});
