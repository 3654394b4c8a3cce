import { parseDigest, type Digest } from '../../../src/oci/digest.ts';
import { answerText } from '../pull-image.ts';
import { chainNames } from '../settings.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** What grants a read: an upstream of the chain had it there, it was pushed there, or what is public is named there. */
export const membership: Check = {
  of: 'promise 9, I3',
  onAnswer(world, answer) {
    const { wish, status } = answer;
    if (status !== 200 && status !== 206 && status !== 304) return undefined;
    if (wish.repository.startsWith('docker.io/evil/')) return `${answerText(answer)}, though it is denied`;
    const digest = parseDigest(wish.reference) ?? parseDigest(answer.headers['docker-content-digest'] ?? '');
    if (digest === undefined || mayRead(world, wish.repository, digest, answer.startedAt)) return undefined;
    return `${answerText(answer)}, though nobody ever had it there`;
  },
};

/** At some instant while it was being asked for. */
function mayRead(world: World, holder: string, digest: Digest, since: number): boolean {
  const { truth, hosted } = world;
  const slash = holder.indexOf('/');
  const repository = holder.slice(slash + 1);
  // Of every life's settings: what was granted once stays granted.
  const chain = [...new Set([...chainNames(world.server.config(), holder.slice(0, slash)), 'hub-a', 'hub-b', 'hub-c', 'quay'])];
  if (truth.everHad(chain, repository, digest)) return true;
  const kinds = ['blob', 'manifest'] as const;
  if (kinds.some((kind) => hosted.known(holder, kind, digest)?.mightBe('here', since) === true)) return true;
  return truth.isPublic(digest) && truth.everDescribed(chain, repository, digest);
}
