/** For what is no connection of a client: metadata, log, listeners, and some for whoever looks. */
const OWN_DESCRIPTORS = 128;
const CONNECTIONS_MIN = 16;
const CONNECTIONS_MAX = 20_000;
const CONNECTIONS_PER_ADDRESS_MAX = 1000;

/**
 * Each client may need two descriptors, its own and one of a file or an upstream (reliability.md, R37). Of what may come in all, each of
 * the processes has its part.
 */
export function connectionLimits(
  descriptors: number | undefined,
  sharers = 1,
): { readonly connectionsMax: number; readonly connectionsPerAddressMax: number } {
  const most = Math.ceil(CONNECTIONS_MAX / sharers);
  const fitting = descriptors === undefined ? most : Math.floor((descriptors - OWN_DESCRIPTORS) / 2);
  return {
    connectionsMax: Math.min(most, Math.max(CONNECTIONS_MIN, fitting)),
    connectionsPerAddressMax: Math.ceil(CONNECTIONS_PER_ADDRESS_MAX / sharers),
  };
}
