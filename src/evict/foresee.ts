import { allHolders, allHostedDigests } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';
import type { SweepDeps, SweepOptions, Swept } from './sweep.ts';

export interface Foreseen {
  /** Links that would go, by digest: the repositories that would hold it no more. */
  readonly unlinked: ReadonlyMap<Digest, ReadonlySet<string>>;
  /** Repositories that hold all they have, since not all of it can be read. */
  readonly unreadable: ReadonlySet<string>;
}

/** What {@link import('./sweep.ts').sweep} would remove after all that; changes nothing. */
export async function* foresee(
  deps: Pick<SweepDeps, 'records'>,
  { before }: SweepOptions,
  foreseen: Foreseen,
): AsyncGenerator<Swept> {
  for await (const digest of allHostedDigests(deps.records)) {
    const blob = await deps.records.blob(digest);
    const isYoung = blob === undefined || (blob.state !== 'deleting' && blob.at > before);
    if (isYoung || (await wouldBeHeld(deps, digest, foreseen))) continue;
    yield { digest, bytes: blob.size };
  }
}

async function wouldBeHeld(
  { records }: Pick<SweepDeps, 'records'>,
  digest: Digest,
  { unlinked, unreadable }: Foreseen,
): Promise<boolean> {
  const without = unlinked.get(digest);
  for await (const repository of allHolders(records, digest)) {
    if (unreadable.has(repository)) return true;
    if (without?.has(repository) !== true && (await records.link(repository, digest)) !== undefined) return true;
  }
  return false;
}
