import type { Digest } from '../oci/digest.ts';
import { digestsOf, type SweepDeps, type SweepOptions, type Swept } from './sweep.ts';

export interface Foreseen {
  /** Links that would go, by digest: the repositories that would hold it no more. */
  readonly unlinked: ReadonlyMap<Digest, ReadonlySet<string>>;
  /** Repositories that hold all they have, since not all of it can be read. */
  readonly unreadable: ReadonlySet<string>;
}

const PAGE = 100;

/** What {@link import('./sweep.ts').sweep} would remove after all that; changes nothing. */
export async function* foresee(
  deps: Pick<SweepDeps, 'records'>,
  { before }: SweepOptions,
  foreseen: Foreseen,
): AsyncGenerator<Swept> {
  for await (const digest of digestsOf(deps)) {
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
  for (let after: string | undefined; ;) {
    const page = await records.holders(digest, after, PAGE);
    for (const repository of page) {
      if (unreadable.has(repository)) return true;
      if (without?.has(repository) !== true && (await records.link(repository, digest)) !== undefined) return true;
    }
    after = page.at(-1);
    if (page.length < PAGE) return false;
  }
}
