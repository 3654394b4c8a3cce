import type { Digest } from '../oci/digest.ts';
import { MOVES_KEPT, standingNow, type Records } from '../metadata/records.ts';
import { AdminError } from './admin-error.ts';
import type { Resolve, RouteOf } from './image.ts';

/** A tag whose cooldown a person has ended. */
export interface Released {
  /** `docker.io/library/alpine:latest`. */
  readonly image: string;
  /** What it is answered with from now on. */
  readonly digest: Digest;
}

interface ReleaseOptions {
  readonly resolve: Resolve;
  readonly routeOf: RouteOf;
  readonly records: Records;
  readonly clock: { now(): number };
}

/**
 * Ends the cooldown of what the tag was last seen to point to, and of nothing that it moves to later: whoever releases has looked
 * at a digest. Nobody upstream is asked, so that it is the one that `explain` showed. Throws AdminError where nothing cools.
 */
export async function release({ resolve, routeOf, records, clock }: ReleaseOptions, image: string): Promise<Released> {
  const { registry, repository, reference } = resolve(image);
  if (reference.includes(':')) throw new AdminError(`${image} names a digest, which has no cooldown: name a tag`);
  const holder = `${registry}/${repository}`;
  const route = routeOf({ registry, repository });
  if (route === undefined || route.cooldownMs === 0)
    throw new AdminError(
      `${holder} has no cooldown: ${route === undefined ? 'no route matches it' : `the route ${route.name} sets none`}`,
    );
  const moves = await records.tagHistory(holder, reference, MOVES_KEPT);
  const [newest] = moves;
  if (newest === undefined || newest.deleted === true)
    throw new AdminError(`nothing is known of ${holder}:${reference} yet: entrepot refresh ${image} asks for it`);
  const now = clock.now();
  const found = standingNow(moves, now, route.cooldownMs, await records.release(holder, reference));
  if (found.kind === 'stood' && found.digest === newest.digest)
    throw new AdminError(`${holder}:${reference} is not cooling: it is answered with ${newest.digest}`);
  await records.putRelease(holder, reference, { digest: newest.digest, at: now });
  return { image: `${holder}:${reference}`, digest: newest.digest };
}
