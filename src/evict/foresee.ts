import type { Digest } from '../oci/digest.ts';
import { digestsOf, type SweepDeps, type SweepOptions, type Swept } from './sweep.ts';

/** Links that would go, by digest: the repositories that would hold it no more. */
export type Unlinked = ReadonlyMap<Digest, ReadonlySet<string>>;

const PAGE = 100;

/** What {@link import('./sweep.ts').sweep} would remove if these links had gone; changes nothing. */
export async function* foresee(
  deps: Pick<SweepDeps, 'records'>,
  { before }: SweepOptions,
  unlinked: Unlinked,
): AsyncGenerator<Swept> {
  for await (const digest of digestsOf(deps)) {
    const blob = await deps.records.blob(digest);
    const isYoung = blob === undefined || (blob.state !== 'deleting' && blob.at > before);
    if (isYoung || (await wouldBeHeld(deps, digest, unlinked.get(digest)))) continue;
    yield { digest, bytes: blob.size };
  }
}

async function wouldBeHeld(
  { records }: Pick<SweepDeps, 'records'>,
  digest: Digest,
  unlinked: ReadonlySet<string> = new Set(),
): Promise<boolean> {
  for (let after: string | undefined; ;) {
    const page = await records.holders(digest, after, PAGE);
    for (const repository of page) {
      if (!unlinked.has(repository) && (await records.link(repository, digest)) !== undefined) return true;
    }
    after = page.at(-1);
    if (page.length < PAGE) return false;
  }
}
