/** The part of a route that says which registries it is for. */
export interface RoutedPattern {
  /** Patterns over `registry/repository`. */
  readonly match: readonly string[];
  readonly deny: boolean;
}

/**
 * The registries that clients should be pointed at the mirror for: those that a route names, in the order of the routes. A
 * pattern whose first segment is a wildcard names none.
 */
export function routedRegistries(routes: readonly RoutedPattern[]): string[] {
  const named = routes
    .filter((route) => !route.deny)
    .flatMap((route) => route.match)
    .map((pattern) => pattern.split('/', 1)[0] ?? '')
    .filter((registry) => registry !== '' && !/[*?[\]{}()!]/.test(registry));
  return [...new Set(named)];
}
