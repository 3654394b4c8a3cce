import type { Digest } from '../oci/digest.ts';
import { MOVES_KEPT, standingNow, type Records } from '../metadata/records.ts';
import { parseDigest } from '../oci/digest.ts';
import { AdminError } from './admin-error.ts';
import type { CacheControl } from './cache.ts';
import type { Resolve, RouteOf, RouteView } from './image.ts';

/** What a person has let go. */
export interface Released {
  /** `docker.io/library/alpine:latest`. */
  readonly image: string;
  /** What the tag is answered with from now on, its cooldown being over; absent where it was not cooling. */
  readonly digest?: Digest;
  /** Verdicts about its content that were forgotten, so that judges are asked anew. */
  readonly forgotten: number;
}

interface ReleaseOptions {
  readonly resolve: Resolve;
  readonly routeOf: RouteOf;
  readonly records: Records;
  readonly cache: Pick<CacheControl, 'imageDigests'>;
  readonly clock: { now(): number };
}

interface Named {
  readonly holder: string;
  readonly reference: string;
  /** Holder and reference, as one writes them. */
  readonly image: string;
}

/**
 * Ends the cooldown of what the tag was last seen to point to, and of nothing that it moves to later: whoever releases has looked
 * at a digest. Nobody upstream is asked, so that it is the one that `explain` showed. And forgets what judges said of the image. Throws
 * AdminError where neither holds anything back.
 */
export async function release(options: ReleaseOptions, image: string): Promise<Released> {
  const { registry, repository, reference } = options.resolve(image);
  const holder = `${registry}/${repository}`;
  const route = options.routeOf({ registry, repository });
  const named = { holder, reference, image: `${holder}${reference.includes(':') ? '@' : ':'}${reference}` };
  const forgotten = await forget(options, route, named);
  try {
    return { ...(await endCooldown(options, route, named, image)), forgotten };
  } catch (error) {
    if (forgotten > 0 && error instanceof AdminError) return { image: named.image, forgotten };
    throw error;
  }
}

/** Of what the tag points to, and of what it would. */
async function forget(
  { records, cache }: ReleaseOptions,
  route: RouteView | undefined,
  { holder, reference }: Named,
): Promise<number> {
  if (route?.admission === undefined) return 0;
  const digest = parseDigest(reference);
  const roots =
    digest === undefined
      ? [(await records.tag(holder, reference))?.digest, (await records.tagHistory(holder, reference, 1))[0]?.digest]
      : [digest];
  let forgotten = 0;
  for (const root of new Set(roots))
    if (root !== undefined) forgotten += await route.admission.forget(holder, await cache.imageDigests(holder, root));
  return forgotten;
}

async function endCooldown(
  { records, clock }: ReleaseOptions,
  route: RouteView | undefined,
  { holder, reference, image }: Named,
  asked: string,
): Promise<Required<Pick<Released, 'image' | 'digest'>>> {
  const judged = route?.admission === undefined ? '' : ', and nothing is kept of what was said of its content';
  if (reference.includes(':')) throw new AdminError(`${asked} names a digest, which has no cooldown: name a tag${judged}`);
  if (route === undefined || route.cooldownMs === 0)
    throw new AdminError(
      `${holder} has no cooldown: ${route === undefined ? 'no route matches it' : `the route ${route.name} sets none`}${judged}`,
    );
  const moves = await records.tagHistory(holder, reference, MOVES_KEPT);
  const [newest] = moves;
  if (newest === undefined || newest.deleted === true)
    throw new AdminError(`nothing is known of ${image} yet: entrepot refresh ${asked} asks for it`);
  const now = clock.now();
  const found = standingNow(moves, now, route.cooldownMs, await records.release(holder, reference));
  if (found.kind === 'stood' && found.digest === newest.digest)
    throw new AdminError(`${image} is not cooling: it is answered with ${newest.digest}${judged}`);
  await records.putRelease(holder, reference, { digest: newest.digest, at: now });
  return { image, digest: newest.digest };
}
