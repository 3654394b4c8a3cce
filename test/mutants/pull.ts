import type { Mutant } from './mutant.ts';

/** Each removes one defence of `pull/`; the tests named must then fail. */
export const mutants: readonly Mutant[] = [];
