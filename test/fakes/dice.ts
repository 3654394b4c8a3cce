import type { Random } from '../../src/system/random.ts';

/** Choices, the same for the same seed. */
export interface Dice {
  chance(of: number): boolean;
  /** Both ends included. */
  between(least: number, most: number): number;
  pick<T>(from: readonly T[]): T;
  /** One of the keys, each as often as its weight says. */
  weigh<T extends string>(weights: Readonly<Record<T, number>>): T;
  times<T>(count: number, make: () => T): T[];
}

export function createDice(random: Random): Dice {
  const between = (least: number, most: number): number => least + Math.floor(random.fraction() * (most - least + 1));
  return {
    chance: (of) => random.fraction() < of,
    between,
    pick: (from) => from[between(0, from.length - 1)]!,
    weigh<T extends string>(weights: Readonly<Record<T, number>>): T {
      const entries = Object.entries<number>(weights) as [T, number][];
      let left = random.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      return entries.find(([, weight]) => (left -= weight) < 0)?.[0] ?? entries[0]![0];
    },
    times: (count, make) => Array.from({ length: count }, make),
  };
}
