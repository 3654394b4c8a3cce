/** Why a tag was answered with something else than what it points to now. */
export type Past = 'asof' | 'cooldown';

/** How an answer came about, for `Cache-Status` (RFC 9211) and the request's outcome. */
export type Source = Way & { readonly past?: Past };

type Way =
  | { readonly outcome: 'hit'; readonly ttlSeconds?: number }
  | { readonly outcome: 'stale'; readonly ttlSeconds: number; readonly why: string }
  | { readonly outcome: 'revalidated'; readonly upstream: string }
  | { readonly outcome: 'miss'; readonly upstream: string; readonly stored: boolean }
  | { readonly outcome: 'collapsed' }
  /** Straight from an upstream: nothing could be kept (`bypass`), or a range far ahead of the running fill. */
  | { readonly outcome: 'bypass'; readonly why: 'bypass' | 'partial' };

/** Upstream names come from the configuration or are hosts: both are tokens by RFC 8941 but for the colon of a port. */
function detail(text: string): string {
  return /^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$/.test(text) ? text : `"${text.replaceAll(/[^\x20-\x7e]|["\\]/g, '')}"`;
}

export function cacheStatus(source: Source): string {
  // RFC 9211 2.8: there is one detail; whoever pulls as of a date wants to see that the date was understood.
  if (source.past !== undefined) return `${wayStatus(source).replace(/; detail=.*$/, '')}; detail=${source.past}`;
  return wayStatus(source);
}

function wayStatus(source: Way): string {
  switch (source.outcome) {
    case 'hit':
      return source.ttlSeconds === undefined ? 'entrepot; hit' : `entrepot; hit; ttl=${source.ttlSeconds}`;
    case 'stale':
      return `entrepot; hit; ttl=${source.ttlSeconds}; detail=stale`;
    case 'revalidated':
      return `entrepot; fwd=stale; fwd-status=200; detail=${detail(source.upstream)}`;
    case 'miss':
      return `entrepot; fwd=miss; fwd-status=200${source.stored ? '; stored' : ''}; detail=${detail(source.upstream)}`;
    case 'collapsed':
      return 'entrepot; fwd=miss; collapsed';
    case 'bypass':
      return `entrepot; fwd=${source.why}`;
  }
}

/** `Warning` text (RFC 9111's predecessor, still what containerd logs), where there is something to warn of. */
export function warning(source: Source): string | undefined {
  if (source.outcome === 'stale') return `299 entrepot "${source.why.replaceAll(/[^\x20-\x7e]|["\\]/g, '')}"`;
  if (source.outcome === 'bypass' && source.why === 'bypass')
    return '299 entrepot "passed through: the cache cannot keep it now"';
  return undefined;
}

export const NEGATIVE_STATUS = 'entrepot; hit; detail=negative';

/** Not held, and nobody was asked. */
export const OFFLINE_STATUS = 'entrepot; detail=offline';

/** The tag stood for nothing then, or nothing is known of then. */
export const AS_OF_STATUS = 'entrepot; detail=asof';

/** All that the tag points to is too new. */
export const COOLDOWN_STATUS = 'entrepot; detail=cooldown';

/** A rule of its route about content refuses it. */
export const NOT_LET_IN_STATUS = 'entrepot; detail=refused';

/** Not pushed here, and nobody else may answer. */
export const HOSTED_STATUS = 'entrepot; detail=hosted';

/** For an error that a chain's answers led to. */
export function missStatus(upstream: string | undefined): string {
  return upstream === undefined ? 'entrepot; fwd=miss' : `entrepot; fwd=miss; detail=${detail(upstream)}`;
}
