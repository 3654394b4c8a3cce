import type { PushDeps } from './deps.ts';
import type { Change } from './events.ts';
import type { Pushing } from './request.ts';

type Told = Omit<Change, 'holder' | 'repository' | 'address' | 'request'>;

/** Queues a change that stands for those who asked to be notified. Rejects as {@link Notify}. */
export async function tell({ notify }: Pick<PushDeps, 'notify'>, pushing: Pushing, told: Told): Promise<void> {
  const { holder, name, request } = pushing;
  await notify({ ...told, holder, repository: name.shown, address: request.address, request: request.requester });
}
