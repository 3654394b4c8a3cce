import { parseDigest } from '../../../src/oci/digest.ts';
import { answerText } from '../pull-image.ts';
import { pathOf } from '../disk-path.ts';
import type { Answer } from '../puller.ts';
import { chainNames } from '../settings.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** The client that started a fill may leave: at rest the blob is there, where nothing kept it from being fetched. */
export const outlives: Check = {
  of: 'promise 3',
  async onQuiet(world) {
    const files = world.machine.disk.peek();
    return world.answers
      .filter((answer) => answer.end === 'left' && wasBegun(world, answer) && wasSpared(world, answer))
      .filter(({ wish }) => !files.has(pathOf(parseDigest(wish.reference)!)))
      .map((answer) => `${answerText(answer)}, and it was not fetched to its end`);
  },
};

/** Where calls take no time, what a client waits for has begun when it leaves. */
function wasBegun({ nature, truth, server }: World, { wish, status }: Answer): boolean {
  const slash = wish.repository.indexOf('/');
  const digest = parseDigest(wish.reference);
  const chain = chainNames(server.config(), wish.repository.slice(0, slash));
  const has = chain.map((name) => truth.repository(name, wish.repository.slice(slash + 1)));
  const isSupplied =
    digest !== undefined && has.every((found) => found === undefined || found.blobs.has(digest)) && has.some(Boolean);
  return status === 200 || (status === 0 && nature.tempo === 'instant' && isSupplied);
}

function wasSpared(world: World, { wish, startedAt }: Answer): boolean {
  const [registry = ''] = wish.repository.split('/');
  const isMirrored = registry === 'docker.io' || registry === 'quay.io';
  const since = Math.max(world.keepableSince, world.settingsSince, world.restartedAt, world.leftAloneUntil);
  const chain = chainNames(world.server.config(), registry);
  return (
    isMirrored &&
    wish.kind === 'blob' &&
    startedAt > since &&
    world.settings.maxBytes === undefined &&
    chain.every((name) => world.network.wasUpSince(name, startedAt))
  );
}
