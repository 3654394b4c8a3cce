import { allRepositories, type QuotaSums, type Records } from '../metadata/records.ts';
import type { Clock } from '../system/clock.ts';
import { paged } from '../system/paged.ts';

/** What was set aside for something that is no upload is given up after so long: whoever wanted it has died. */
const FORGOTTEN_MS = 3_600_000;

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
  for await (const repository of allRepositories(records))
    if (covers(repository)) await records.quota.settle(route, repository);
}

/** Empty ones are on no list but this. */
async function strikeOthers({ records: { quota } }: RecountDeps, route: string, covers: (repository: string) => boolean) {
  const counted = paged(
    (after: string | undefined, limit) => quota.counted(route, after, limit),
    ({ cursor }) => cursor,
  );
  for await (const { repository } of counted) {
    if (covers(repository)) await quota.settle(route, repository);
    else await quota.strike(route, repository);
  }
}

async function releaseForgotten({ clock, records }: RecountDeps, route: string): Promise<void> {
  const reservations = paged(
    (after: string | undefined, limit) => records.quota.reservations(route, after, limit),
    ({ cursor }) => cursor,
  );
  for await (const { id, repository, upload, at } of reservations) {
    const wanted = upload ? (await records.upload(repository, id)) !== undefined : at + FORGOTTEN_MS > clock.now();
    if (!wanted) await records.quota.release(route, id);
  }
}
