import { expect, test } from 'vitest';
import { firstUnfit } from '../../../src/system/match-within.ts';

test('what takes long though nothing is computed is tried again: a push on a busy machine was refused', () => {
  let isBusy = true;
  const fits = (): boolean => {
    if (isBusy) {
      isBusy = false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // Until it is ended.
    }
    return true;
  };
  expect(firstUnfit(['a', 'b'], fits, 20)).toBe(-1);
});

test('what computes for ever ends', () => {
  const fits = (): boolean => {
    for (;;);
  };
  expect(firstUnfit(['a'], fits, 20)).toBeUndefined();
});
