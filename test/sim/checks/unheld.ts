import { parseDigest } from '../../../src/oci/digest.ts';
import { CHAIN_DEADLINE_MS } from '../../../src/pull/chain.ts';
import { answerText } from '../pull-image.ts';
import type { Answer } from '../puller.ts';
import { chainNames } from '../settings.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** Less than an upstream may be silent before it is given up; far more than one that is well takes for what is pulled here. */
const SOON_MS = 5_000;

/**
 * Where nothing is wrong with anything of its own, a pull waits for nobody: not for what another registry’s upstreams do, either. Its own
 * may have been silent before: it joins what an earlier pull asked them then.
 */
export const unheld: Check = {
  of: 'promise 4',
  onAnswer(world, answer) {
    const tookMs = answer.endedAt - answer.startedAt;
    if (tookMs <= SOON_MS || !isAllWell(world, answer)) return undefined;
    return `${answerText(answer)} after ${tookMs} ms, though all that it needs is well`;
  },
};

function isAllWell(world: World, { wish, startedAt }: Answer): boolean {
  const { server, network, nature } = world;
  const [registry = ''] = wish.repository.split('/');
  const isMirrored = registry === 'docker.io' || registry === 'quay.io';
  const isPlain = wish.kind === 'blob' && wish.drip === undefined && parseDigest(wish.reference) !== undefined;
  const isCalm = world.wasCalm(startedAt) && nature.tempo !== 'slow' && world.settings.maxBytes === undefined;
  const chain = chainNames(server.config(), registry);
  return isMirrored && isPlain && isCalm && chain.every((name) => network.wasUpSince(name, startedAt - CHAIN_DEADLINE_MS));
}
