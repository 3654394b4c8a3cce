import type { Config } from '../config/config.ts';
import { HOSTED, type Needed, type Records } from '../metadata/records.ts';
import { isOfficialDirectory, openOfficialDirectory } from '../official/directory.ts';
import type { ReportOfficial } from '../official/events.ts';
import { withFallback } from '../official/fallback.ts';
import { withRetaking } from '../official/retaking.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import { createTake } from '../blobs/take.ts';
import { createTakeover, type OfficialNames } from '../official/takeover.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { Random } from '../system/random.ts';
import type { Storage } from './storage.ts';

export interface OfficialDeps {
  readonly system: { readonly clock: Clock; readonly disk: Disk; readonly random: Random };
  readonly storage: Storage;
  readonly report: ReportOfficial;
}

/** Records and content as those see them who answer clients, and as collection does. */
export interface Served {
  readonly storage: Storage;
  readonly collected: Storage;
}

/**
 * Where the configuration is the official registry's own and the data of that registry lie in our root directory, they are
 * served from the first start. Looked for once: without them nothing costs more.
 */
export async function serveOfficial(config: Config, { system, storage, report }: OfficialDeps): Promise<Served> {
  const names = officialNames(config);
  const root = config.storage.rootdirectory;
  const { clock, disk, random } = system;
  const { records } = storage;
  if (!(await hasOfficialData(disk, root)) || (await wasImported(records))) return { storage, collected: storage };
  report({ kind: 'official-found', directory: root, served: names !== undefined });
  if (names === undefined) return { storage, collected: storage };
  const blobs = config.mode === 'plain' ? storage.blobs : storage.cached;
  const directory = openOfficialDirectory(disk, root);
  const take = createTake({ disk, blobs, random });
  const takeover = createTakeover({ clock, blobs, records, directory, take, names });
  const served = withFallback({ clock, records, directory, takeover, names, report });
  const retaking = <S extends BlobStore>(store: S): S => withRetaking(store, { records, takeover, names, report });
  return {
    storage: { ...storage, records: served, blobs: retaking(storage.blobs), cached: retaking(storage.cached) },
    collected: { ...storage, records: asCollected(records, served) },
  };
}

/** What cannot be told now is told by whoever is asked for something. */
async function wasImported(records: Records): Promise<boolean> {
  try {
    return (await records.official.imported()) !== undefined;
  } catch {
    return false;
  }
}

/** Whose that registry's repositories are under a configuration of its own; `undefined`: it is not such a one. */
export function officialNames(config: Config): OfficialNames | undefined {
  const [route] = config.routes;
  if (config.mode === 'plain') return { registry: config.names.default, upstream: HOSTED, needed: 'nothing' };
  if (config.mode !== 'proxy' || route === undefined) return undefined;
  const upstream = route.upstreams[0] ?? config.names.default;
  return { registry: config.names.default, upstream, needed: neededAt(config, upstream) };
}

/** What is taken over counts as that registry's account's, where we have one for the same upstream. */
export function neededAt({ upstreams, credentials }: Config, upstream: string): Needed {
  const hasAccount = upstream === 'origin' ? credentials.length > 0 : upstreams.get(upstream)?.account !== undefined;
  return hasAccount ? 'account' : 'nothing';
}

/** A disk that cannot be asked now has more to say than that nothing is there. */
async function hasOfficialData(disk: Disk, root: string): Promise<boolean> {
  try {
    return await isOfficialDirectory(disk, root);
  } catch {
    return true;
  }
}

/**
 * Collection looks at what is ours: a link that it drops would come back while it asks whether any is left. What it drops
 * comes back when it is asked for; but for tags, which retention takes for good.
 */
function asCollected(records: Records, served: Records): Records {
  return { ...records, dropHostedTag: served.dropHostedTag };
}
