import type { LinkRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { PullDeps, Pulling } from './deps.ts';
import { fillOrder } from './fill.ts';
import { splitHolder } from './holder.ts';
import type { ManifestByDigest } from './prefetch.ts';
import { newTrace } from './trace.ts';

/**
 * Fetches what a repository holds, and lost the bytes of, again from its chain. Resolves when that has ended, however it did:
 * whoever asked looks whether the bytes are there. Nobody is asked for what may not be asked for.
 */
export type Refill = (
  holder: string,
  digest: Digest,
  link: Pick<LinkRecord, 'kind' | 'size'>,
  signal: AbortSignal,
) => Promise<void>;

export function createRefill(deps: PullDeps, byDigest: ManifestByDigest): Refill {
  return async (holder, digest, link, signal) => {
    const { registry, repository } = splitHolder(holder);
    const route = deps.router({ registry, repository });
    if (
      route === undefined ||
      route.deny ||
      route.alone ||
      route.policy.offline ||
      signal.aborted ||
      deps.fills.inTrouble({ registry, digest })
    )
      return;
    const asked = {
      asof: undefined,
      range: undefined,
      ifRange: undefined,
      ifNoneMatch: undefined,
      signal,
      trace: newTrace(''),
    };
    const pulling: Pulling = { route, registry, repository, holder, method: 'GET', ...asked };
    // Whoever asks for it next meets the same trouble, and is told of it.
    await (link.kind === 'manifest' ? byDigest(pulling, digest) : fill(deps, pulling, digest, link.size)).catch(
      () => undefined,
    );
  };
}

/** Counted as one who wants it, so that it is not parked for the sake of others. */
async function fill({ fills }: PullDeps, pulling: Pulling, digest: Digest, size: number): Promise<void> {
  const claim = await fills.claim(fillOrder(pulling, digest, size), pulling.signal);
  try {
    await claim?.fill.ended;
  } finally {
    claim?.leave();
  }
}
