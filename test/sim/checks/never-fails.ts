import { parseDigest } from '../../../src/oci/digest.ts';
import { answerText } from '../pull-image.ts';
import type { Answer } from '../puller.ts';
import { chainNames } from '../settings.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** While one upstream of the chain is well and has it, a pull succeeds: whatever the others, the disk and the metadata do. */
export const neverFails: Check = {
  of: 'promise 4, promise 5',
  onAnswer(world, answer) {
    const { wish, status, end, startedAt } = answer;
    if (end === 'left' || status === 416 || world.readsFail || !isSupplied(world, answer)) return undefined;
    if (Math.max(world.settingsSince, world.truth.changedAt, world.liedAt) > startedAt - 120_000) return undefined;
    const isRight = end === 'whole' && (status === 200 || (status === 206 && wish.range !== undefined));
    const why = answer.why instanceof Error ? `: ${answer.why.message}` : '';
    return isRight ? undefined : `${answerText(answer)} though it could be had${why}`;
  },
};

/** Only where hosted has no say; nobody of the chain lies; somebody in it is up all the time. */
function isSupplied({ server, network, truth }: World, { wish, startedAt }: Answer): boolean {
  const slash = wish.repository.indexOf('/');
  const [registry, repository] = [wish.repository.slice(0, slash), wish.repository.slice(slash + 1)];
  if (registry !== 'docker.io' && registry !== 'quay.io') return false;
  const chain = chainNames(server.config(), registry);
  if (chain.some((name) => network.mood(name) === 'liar')) return false;
  return chain.some((name) => {
    const has = truth.repository(name, repository);
    const digest = parseDigest(wish.reference) ?? has?.tags.get(wish.reference);
    if (has === undefined || digest === undefined || !network.wasUpSince(name, startedAt)) return false;
    return (wish.kind === 'blob' ? has.blobs : has.manifests).has(digest);
  });
}
