import { parseDigest, type Digest } from '../../../src/oci/digest.ts';
import { BYTES } from '../content.ts';
import { isStolen } from '../network.ts';
import type { Answer } from '../puller.ts';
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
    if (digest !== undefined && isStolen(wish.repository)) return stolen(world, answer, digest);
    if (digest === undefined || mayRead(world, wish.repository, digest, answer.startedAt)) return undefined;
    return `${answerText(answer)}, though nobody ever had it there`;
  },
};

/** Whoever has not a byte of it is shown none, whatever they say, unless anybody could have it. */
function stolen({ truth }: World, answer: Answer, digest: Digest): string | undefined {
  const { bytes, headers } = answer;
  if (truth.isPublic(digest) || bytes.length === 0) return undefined;
  const from = Number(/^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1] ?? 0);
  const right = BYTES.get(digest)?.subarray(from, from + bytes.length) ?? Buffer.alloc(0);
  // Chance may make a byte right, and not several in a row.
  let [run, longest] = [0, 0];
  for (const [at, byte] of bytes.entries()) {
    run = byte === right[at] ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest >= Math.min(4, right.length) ? `${answerText(answer)}, which its registry never had` : undefined;
}

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
