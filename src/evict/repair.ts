import type { VerifiedBlobStore } from '../blobs/blob-store.ts';
import { isHosted, type LinkRecord, type Records } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { Clock } from '../system/clock.ts';
import { ageQuarantine, type QuarantineDeps } from './quarantine.ts';
import type { DamagedStep, ReportScrub } from './scrub-events.ts';

/** Fetches what a repository holds again, from its upstreams; resolves when it is held, or cannot be had. */
export type Refill = (repository: string, digest: Digest, link: LinkRecord, signal: AbortSignal) => Promise<void>;

export interface RepairDeps {
  readonly clock: Clock;
  readonly blobs: VerifiedBlobStore;
  readonly records: Pick<Records, 'holders' | 'link' | 'isHosted'>;
  readonly report: ReportScrub;
  readonly refill: Refill;
  /** Whatever memory has of it: it would hide that the file has gone. */
  readonly forget: (digest: Digest) => void;
  readonly cacheMax?: QuarantineDeps['cacheMax'];
}

export interface Damage {
  readonly digest: Digest;
  readonly size: number;
  /** Of the damaged file. */
  readonly version: string;
  readonly why: string;
  /** The disk may read it again: what cannot be had elsewhere is left where it is. */
  readonly passing?: boolean;
}

/** Repositories that are looked at for one whose upstream has it. */
const HOLDERS_MAX = 20;
/** Of those, as many are asked. */
const ASKED_MAX = 3;

/** Finds out who has it, and, where repairs are made, moves it away and fetches it again. */
export async function mend(deps: RepairDeps, damage: Damage, repair: boolean, signal: AbortSignal): Promise<DamagedStep> {
  const { digest, size, why } = damage;
  const holders = await holdersOf(deps, digest);
  const hosted = (await deps.records.isHosted(digest)) || holders.some(({ link }) => isHosted(link));
  const mayMove = repair && !(hosted && damage.passing === true);
  const repaired = mayMove && (await repairNow(deps, damage, holders, hosted, signal));
  return {
    kind: 'damaged',
    digest,
    bytes: size,
    why,
    repositories: holders.map(({ repository }) => repository),
    hosted,
    repaired,
  };
}

interface Holder {
  readonly repository: string;
  readonly link: LinkRecord;
}

async function holdersOf({ records }: RepairDeps, digest: Digest): Promise<readonly Holder[]> {
  const holders: Holder[] = [];
  for (const repository of await records.holders(digest, undefined, HOLDERS_MAX)) {
    const link = await records.link(repository, digest);
    if (link !== undefined) holders.push({ repository, link });
  }
  return holders;
}

async function repairNow(
  deps: RepairDeps,
  { digest, version, why }: Damage,
  holders: readonly Holder[],
  hosted: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const { blobs, clock, report } = deps;
  // Another file by now: somebody pulled or pushed it, and the next round reads that.
  if (!(await blobs.quarantine(digest, version, clock.now()))) return true;
  deps.forget(digest);
  report({ kind: 'quarantined', digest, why: hosted ? `${why}; ${pushAgain(holders)}` : why });
  await ageQuarantine(deps);
  for (const { repository, link } of holders.filter((holder) => !isHosted(holder.link)).slice(0, ASKED_MAX)) {
    await deps.refill(repository, digest, link, signal);
    if ((await blobs.look(digest))?.size === link.size) return true;
  }
  return false;
}

function pushAgain(holders: readonly Holder[]): string {
  const [first] = holders.filter(({ link }) => isHosted(link));
  return `it was pushed${first === undefined ? '' : ` to ${first.repository}`}, and a push of the same bytes heals it`;
}
