import { parseDigest, type Digest } from '../../../src/oci/digest.ts';
import { answerText } from '../pull-image.ts';
import { shortName } from '../content.ts';
import type { Answer } from '../puller.ts';
import { chainNames, TAG_TTL_MS } from '../settings.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** A tag is what some upstream says or said; with the whole chain well, what it said no longer ago than its ttl. */
export const freshTags: Check = {
  of: 'promise 4, decision 10',
  onAnswer(world, answer) {
    const { wish, status, headers } = answer;
    const slash = wish.repository.indexOf('/');
    const [registry, repository] = [wish.repository.slice(0, slash), wish.repository.slice(slash + 1)];
    const isMirrored = registry === 'docker.io' || registry === 'quay.io';
    if (!isMirrored || wish.kind !== 'manifest' || status !== 200 || parseDigest(wish.reference) !== undefined)
      return undefined;
    const chain = registry === 'docker.io' ? ['hub-a', 'hub-b'] : ['quay'];
    const found = headers['docker-content-digest'] as Digest;
    const mayBeOld = isStaleAllowed(world, answer, chainNames(world.server.config(), registry));
    const since = mayBeOld ? -Infinity : answer.startedAt - TAG_TTL_MS;
    const may = chain.flatMap((name) => [...world.truth.tagValues(name, repository, wish.reference, since)]);
    if (may.includes(found)) return undefined;
    return `${answerText(answer)} says ${shortName(found)}: it must be ${[...new Set(may)].map(shortName).join(' or ')}`;
  },
};

/** Immutable, offline, in trouble, after a jump of the clock, or told to keep what is gone. */
function isStaleAllowed(world: World, { wish, startedAt }: Answer, chain: readonly string[]): boolean {
  const { network, calmSince, jumpedAt, settingsSince } = world;
  const since = startedAt - TAG_TTL_MS;
  return (
    wish.reference.startsWith('v') ||
    chain.length === 0 ||
    calmSince === undefined ||
    calmSince > since ||
    jumpedAt > since ||
    settingsSince > since ||
    !chain.every((name) => network.wasUpSince(name, since)) ||
    !chain.every(
      (name) =>
        world.truth.repository(name, wish.repository.slice(wish.repository.indexOf('/') + 1))?.tags.has(wish.reference) ===
        true,
    )
  );
}
