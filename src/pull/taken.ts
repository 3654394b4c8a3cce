import type { Clock } from '../system/clock.ts';
import { askChain, CHAIN_DEADLINE_MS } from './chain.ts';
import type { Name } from './name.ts';
import type { Router } from './route.ts';

/** `unknown`: somebody who might answer the name could not be asked, so that nobody may take it now. */
export type Taken = 'free' | 'taken' | 'unknown';

/** Whether the rest of a repository's chain answers its name, so that a push would shadow it (contract, "Upstreams built in"). */
export type AskTaken = (name: Pick<Name, 'registry' | 'repository'>) => Promise<Taken>;

/**
 * Asks for its tags, and then for `latest`, since not every registry lists tags. Never from what is held: only what an
 * upstream says now counts. 403 to our account is somebody's name too; 401 is what Docker Hub says of one that is not there.
 */
export function createAskTaken({ clock, router }: { readonly clock: Clock; readonly router: Router }): AskTaken {
  return async ({ registry, repository }) => {
    const route = router({ registry, repository });
    if (route === undefined || route.alone) return 'free';
    if (route.policy.offline) return 'unknown';
    const questions = [
      { kind: 'tags', method: 'GET', registry, repository, reference: '', query: { n: '1' } },
      { kind: 'manifest', method: 'HEAD', registry, repository, reference: 'latest' },
    ] as const;
    for (const request of questions) {
      const ask = {
        chain: route.order(registry, 'tag'),
        request,
        signal: new AbortController().signal,
        deadlineMs: CHAIN_DEADLINE_MS / 2,
        hedge: false,
      };
      const said = await askChain(clock, ask, async ({ body }) => body?.close());
      if (said.kind === 'found' || said.kind === 'denied') return 'taken';
      // Who only asks us in turn has nothing but what is pushed here.
      if (said.kind !== 'absent' && !(said.kind === 'unreachable' && said.looped === true)) return 'unknown';
    }
    return 'free';
  };
}
