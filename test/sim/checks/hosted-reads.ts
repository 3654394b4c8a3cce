import { parseDigest } from '../../../src/oci/digest.ts';
import { answerText } from '../pull-image.ts';
import type { Answer } from '../puller.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** While it is here beyond doubt nobody is told that it is absent, whatever else goes on. */
export const hostedReads: Check = {
  of: 'I2, I12',
  onAnswer(world, answer) {
    if (answer.status !== 404 || !wasHere(world, answer)) return undefined;
    return `${answerText(answer)}, though it was acknowledged and not deleted`;
  },
};

function wasHere(world: World, { wish, sure }: Answer): boolean {
  const digest = parseDigest(wish.reference);
  if (sure === undefined || digest === undefined || world.isRotten(digest)) return false;
  return world.surely(wish.repository, wish.kind, digest) === sure;
}
