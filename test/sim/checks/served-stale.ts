import { parseDigest } from '../../../src/oci/digest.ts';
import { answerText } from '../pull-image.ts';
import type { Answer } from '../puller.ts';
import type { Check } from './check.ts';

/** What is cached is served whatever the upstreams do. `world.kept` holds what was served whole when all was quiet. */
export const servedStale: Check = {
  of: 'promise 4',
  onAnswer(world, answer) {
    const { wish, status, end, startedAt } = answer;
    if (end === 'left' || status === 416 || !world.wasCalm(startedAt)) return undefined;
    const since = world.kept.get(keptKey(wish.repository, wish.reference));
    if (since === undefined || since > startedAt || world.isRotten(wish.reference)) return undefined;
    if (world.settings.maxBytes !== undefined) return undefined;
    const isTag = parseDigest(wish.reference) === undefined;
    // A tag may be gone, or have moved to what is not here.
    if (isTag && status === 404) return undefined;
    if (isTag && (world.truth.changedAt > since || world.settingsSince > since)) return undefined;
    const isRight = end === 'whole' && status < 300;
    const why = answer.why instanceof Error ? `: ${answer.why.message}` : '';
    return isRight ? undefined : `${answerText(answer)} though it is cached${why}`;
  },
  async onQuiet(world) {
    // What is evicted is nobody's fault.
    if (world.settings.maxBytes !== undefined) world.forgetKept();
    for (const answer of world.answers) {
      const { wish, status, end } = answer;
      const isMirrored = wish.repository.startsWith('docker.io/') || wish.repository.startsWith('quay.io/');
      if (!isMirrored || wish.method !== 'GET' || status !== 200 || end !== 'whole' || !wasKept(answer)) continue;
      const key = keptKey(wish.repository, wish.reference);
      if (!world.kept.has(key) && answer.endedAt > world.keepableSince) world.kept.set(key, world.now);
    }
    return undefined;
  },
};

function keptKey(repository: string, reference: string): string {
  return `${repository} ${reference}`;
}

function wasKept({ outcome }: Answer): boolean {
  return outcome === 'hit' || outcome === 'miss' || outcome === 'revalidated' || outcome === 'collapsed';
}
