import { AdminError } from '../admin/admin-error.ts';
import type { Import, ImportRequest } from '../admin/import.ts';
import { HOSTED } from '../metadata/records.ts';
import { isOfficialDirectory, openOfficialDirectory } from '../official/directory.ts';
import { importAll } from '../official/import.ts';
import { createTake } from '../blobs/take.ts';
import { createTakeover, type OfficialNames } from '../official/takeover.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { Random } from '../system/random.ts';
import { asRefusal } from './backing-up.ts';
import type { Chains } from './chains.ts';
import type { Collecting } from './collecting.ts';
import { neededAt, officialNames } from './official.ts';
import type { Storage } from './storage.ts';

export interface ImportingDeps {
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  readonly storage: Storage;
  readonly chains: () => Chains;
  readonly keepOut: Collecting['keepOut'];
}

/** Taking over an official registry's data, wired. Nothing is collected meanwhile: what is half taken is needed by nothing yet. */
export function createImporting({ system, storage, chains, keepOut }: ImportingDeps): Import {
  const { clock, disk, random } = system;
  const { records } = storage;
  return async function* importing(request) {
    const names = namesFor(chains(), request);
    const blobs = names.upstream === HOSTED ? storage.blobs : storage.cached;
    if (!(await isOfficialDirectory(disk, request.directory))) {
      const expected = `expected ${request.directory}/docker/registry/v2/repositories`;
      throw new AdminError(`${request.directory} holds no official registry's data: ${expected}`);
    }
    const directory = openOfficialDirectory(disk, request.directory);
    const takeover = createTakeover({ clock, blobs, records, directory, take: createTake({ disk, blobs, random }), names });
    const turn = await keepOut();
    try {
      const { rootdirectory } = chains().config.storage;
      yield* importAll(
        {
          clock,
          blobs,
          records,
          directory,
          takeover,
          names,
          whyNot: (repository) => whyNot(chains(), repository, takeover.hosted),
          check: () => turn.check(),
        },
        { dryRun: request.dryRun, own: request.directory === rootdirectory },
      );
    } catch (error) {
      throw asRefusal(error, 'the import was broken off');
    } finally {
      await turn.end().catch(() => undefined); // It runs out by itself.
    }
  };
}

/** A configuration of that registry's own leaves no choice; routes do. */
function namesFor({ config, routeOf }: Chains, { registry, hosted }: ImportRequest): OfficialNames {
  const own = officialNames(config);
  if (own !== undefined) {
    if (hosted && own.upstream !== HOSTED)
      throw new AdminError('a mirror hosts nothing: import without --hosted, or write routes with "hosted" first');
    if (registry !== undefined && registry !== own.registry)
      throw new AdminError(`this configuration serves ${own.registry} alone: import without --as`);
    return own;
  }
  if (registry === undefined)
    throw new AdminError('say whose repositories they are: --as docker.io for a mirror of it, or --as NAME --hosted');
  if (hosted) return { registry, upstream: HOSTED, needed: 'nothing' };
  const [first, ...others] = (routeOf({ registry, repository: 'any/image' })?.names ?? []).filter((name) => name !== HOSTED);
  const upstream = first ?? registry;
  return { registry, upstream, needed: neededAt(config, upstream), ...(others.length > 0 ? { claimed: true } : {}) };
}

function whyNot({ config, routeOf }: Chains, holder: string, hosted: boolean): string | undefined {
  if (config.mode === 'plain') return undefined;
  const slash = holder.indexOf('/');
  const view = routeOf({ registry: holder.slice(0, slash), repository: holder.slice(slash + 1) });
  if (view === undefined) return `no route leads to ${holder}`;
  if (view.deny) return `the route ${view.name} denies it`;
  if (hosted) return view.hosted ? undefined : `the route ${view.name} hosts nothing: "hosted" is not in its chain`;
  return view.alone ? `the route ${view.name} has nothing but "hosted": import with --hosted` : undefined;
}
