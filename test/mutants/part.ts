/** `2/4`: the second of four parts of `all`, which follow one another; without a `part` all of it. */
export function partOf<T>(all: readonly T[], part: string | undefined): readonly T[] {
  if (part === undefined) return all;
  const [, nth = NaN, parts = NaN] = /^(\d+)\/(\d+)$/.exec(part)?.map(Number) ?? [];
  if (!(nth >= 1 && nth <= parts)) throw new Error(`ENTREPOT_MUTANTS_PART is not like 2/4: ${part}`);
  const start = (n: number): number => Math.round((n * all.length) / parts);
  return all.slice(start(nth - 1), start(nth));
}
