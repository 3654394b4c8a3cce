/**
 * Globs as the contract has them, as options of picomatch: dots are ordinary, `*` is one segment and `**` any number, and there is no
 * negation, extglob, brace or bracket.
 */
export const GLOB_OPTIONS = { dot: true, nonegate: true, noextglob: true, nobrace: true, nobracket: true } as const;

/** Patterns over `registry/repository` for picomatch, so that two stars at the end are any number of segments, none among them. */
export function withNoneBehind(patterns: readonly string[]): string[] {
  // By itself it takes a/b for a/b/**, but not for a/*/**, nor a/b-1 for a/b-*/**.
  return patterns.flatMap((pattern) => (pattern.endsWith('*/**') ? [pattern, pattern.slice(0, -3)] : [pattern]));
}
