import type { Clock } from '../system/clock.ts';
import type { Absence, Absences } from './absences.ts';
import { askChain, CHAIN_DEADLINE_MS } from './chain.ts';
import { Collapse } from './collapse.ts';
import type { Name } from './name.ts';
import type { Route, Router } from './route.ts';
import type { Unowned } from './unowned.ts';

/** `unknown`: somebody who might answer the name could not be asked, so that nobody may take it now. */
export type Taken = 'free' | 'taken' | 'unknown';

/** Whether the rest of a repository's chain answers its name, so that a push would shadow it (contract, "Upstreams built in"). */
export type AskTaken = (name: Pick<Name, 'registry' | 'repository'>) => Promise<Taken>;

export interface AskTakenDeps {
  readonly clock: Clock;
  readonly router: Router;
  readonly absences: Absences;
  readonly unowned: Unowned;
}

/**
 * Asks for its tags, and then for `latest`, since not every registry lists tags. Never from what is held: only what an
 * upstream says now counts, or has said within `negativettl`, since the uploads of one push all ask. 403 to our account is
 * somebody's name too; 401 is what Docker Hub says of one that is not there.
 */
export function createAskTaken(deps: AskTakenDeps): AskTaken {
  const asks = new Collapse<{ readonly kind: Taken }>(deps.clock, deps.unowned);
  return async (name) => {
    const route = deps.router(name);
    if (route === undefined || route.alone) return 'free';
    if (route.policy.offline) return 'unknown';
    const key = `${route.name} taken ${name.registry}/${name.repository}`;
    if (deps.absences.get(key) !== undefined) return 'free';
    return (await asks.ask(key, async (signal) => ({ kind: await ask(deps, { route, name, key, signal }) }))).value.kind;
  };
}

interface TakenAsk {
  readonly route: Route;
  readonly name: Parameters<AskTaken>[0];
  readonly key: string;
  readonly signal: AbortSignal;
}

async function ask({ clock, absences }: AskTakenDeps, { route, name, key, signal }: TakenAsk): Promise<Taken> {
  const { registry, repository } = name;
  const questions = [
    { kind: 'tags', method: 'GET', registry, repository, reference: '', query: { n: '1' } },
    { kind: 'manifest', method: 'HEAD', registry, repository, reference: 'latest' },
  ] as const;
  let absence: Absence | undefined;
  for (const request of questions) {
    const chain = route.order(registry, 'tag');
    const said = await askChain(
      clock,
      { chain, request, signal, deadlineMs: CHAIN_DEADLINE_MS / 2, hedge: false },
      async ({ body }) => body?.close(),
    );
    if (said.kind === 'found' || said.kind === 'denied') return 'taken';
    // Who only asks us in turn has nothing but what is pushed here.
    if (said.kind !== 'absent' && !(said.kind === 'unreachable' && said.looped === true)) return 'unknown';
    absence = said.kind === 'absent' ? said : undefined;
  }
  if (absence !== undefined) absences.remember(key, absence, route.policy.negativeTtlMs);
  return 'free';
}
