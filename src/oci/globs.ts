/** Patterns over `registry/repository` for picomatch, so that two stars at the end are any number of segments, none among them. */
export function withNoneBehind(patterns: readonly string[]): string[] {
  // By itself it takes a/b for a/b/**, but not for a/*/**, nor a/b-1 for a/b-*/**.
  return patterns.flatMap((pattern) => (pattern.endsWith('*/**') ? [pattern, pattern.slice(0, -3)] : [pattern]));
}
