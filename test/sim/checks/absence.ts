import { answerText } from '../pull-image.ts';
import type { Answer } from '../puller.ts';
import { NEGATIVE_TTL_MS } from '../settings.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

/** Trouble never becomes absence: a 404 is somebody's word. */
export const absence: Check = {
  of: 'I12, promise 4',
  onAnswer(world, answer) {
    const { wish, status } = answer;
    if (status !== 404) return undefined;
    if (wish.repository.startsWith('own.io/') || wish.repository.startsWith('mixed.io/')) return undefined;
    if (wish.repository.startsWith('quay.io/') && wasOffline(world, answer)) return undefined;
    return wasSaid(world, answer) ? undefined : `${answerText(answer)}, though nobody said that it is absent`;
  },
};

/** When it was asked for: a reload is for those who come after it. */
function wasOffline({ settings, offlineUntil }: World, { startedAt }: Answer): boolean {
  return settings.offline || startedAt <= offlineUntil;
}

function wasSaid({ network, settingsSince }: World, { wish, startedAt }: Answer): boolean {
  const repository = wish.repository.slice(wish.repository.indexOf('/') + 1);
  const since = Math.min(startedAt, settingsSince) - 2 * NEGATIVE_TTL_MS;
  return network.log.some(
    ({ request, said, at }) =>
      said === 'absent' && at >= since && request.repository === repository && request.reference === wish.reference,
  );
}
