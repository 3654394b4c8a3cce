import type { QuotaSums, Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import { nextTurn } from '../system/turn.ts';

/** What was set aside for something that is no upload is given up after so long: whoever wanted it has died. */
const FORGOTTEN_MS = 3_600_000;
const PAGE = 500;

export interface RecountDeps {
  readonly clock: Clock;
  readonly records: Pick<Records, 'quota' | 'repositories' | 'upload'>;
}

/**
 * Settles all that a route holds, one record a repository: what a crash left unsettled, repositories that another configuration
 * counted here, and what was set aside for uploads that are gone. Others may push meanwhile. `covers`: the repository is the
 * route's.
 */
export async function recount(deps: RecountDeps, route: string, covers: (repository: string) => boolean): Promise<QuotaSums> {
  const { quota } = deps.records;
  await settleRepositories(deps, route, covers);
  await strikeOthers(deps, route, covers);
  await releaseForgotten(deps, route);
  return quota.sums(route);
}

async function settleRepositories({ records }: RecountDeps, route: string, covers: (repository: string) => boolean) {
  for (let after: string | undefined; ;) {
    const page = await records.repositories(after, PAGE);
    for (const repository of page) if (covers(repository)) await records.quota.settle(route, repository);
    after = page.at(-1);
    if (page.length < PAGE) return;
    await nextTurn();
  }
}

/** Empty ones are on no list but this. */
async function strikeOthers({ records: { quota } }: RecountDeps, route: string, covers: (repository: string) => boolean) {
  for (let after: string | undefined; ;) {
    const page = await quota.counted(route, after, PAGE);
    for (const { repository } of page) {
      if (covers(repository)) await quota.settle(route, repository);
      else await quota.strike(route, repository);
    }
    after = page.at(-1)?.cursor;
    if (page.length < PAGE) return;
    await nextTurn();
  }
}

async function releaseForgotten({ clock, records }: RecountDeps, route: string): Promise<void> {
  for (let after: string | undefined; ;) {
    const page = await records.quota.reservations(route, after, PAGE);
    for (const { id, repository, upload, at } of page) {
      const wanted = upload ? (await records.upload(repository, id)) !== undefined : at + FORGOTTEN_MS > clock.now();
      if (!wanted) await records.quota.release(route, id);
    }
    after = page.at(-1)?.cursor;
    if (page.length < PAGE) return;
  }
}
