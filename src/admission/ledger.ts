import { LRUCache } from 'lru-cache';
import type { LetIn, LetInRecord, Records, VerdictRecord } from '../metadata/records.ts';
import type { Digest } from '../oci/digest.ts';

/** What is remembered here while the metadata cannot be written: a few images a minute, for as long as that may last. */
const REMEMBERED_MAX = 50_000;

/** Verdicts and what they let in, as the metadata have them. */
export type Kept = Pick<Records, 'verdicts'>;

/**
 * Verdicts, and what was let in, in the metadata; and in memory what could not be written there, so that who is judged while they
 * cannot be asked is judged once and not with each of its layers. What neither knows is not known.
 */
export class Ledger {
  readonly #kept: Kept;
  readonly #verdicts = new LRUCache<string, VerdictRecord>({ maxSize: REMEMBERED_MAX, sizeCalculation: () => 1 });
  readonly #letIn = new LRUCache<string, LetInRecord>({ maxSize: REMEMBERED_MAX, sizeCalculation: () => 1 });

  constructor(kept: Kept) {
    this.#kept = kept;
  }

  async verdict(scope: string, repository: string, digest: Digest): Promise<VerdictRecord | undefined> {
    const unwritten = this.#verdicts.get(keyOf(scope, repository, digest));
    if (unwritten !== undefined) return unwritten;
    try {
      return await this.#kept.verdicts.get(scope, repository, digest);
    } catch {
      return undefined; // Then it is judged anew.
    }
  }

  async note(scope: string, record: VerdictRecord): Promise<void> {
    const key = keyOf(scope, record.repository, record.digest);
    try {
      await this.#kept.verdicts.put(scope, record);
      this.#verdicts.delete(key);
    } catch {
      this.#verdicts.set(key, record); // The request path says that the metadata are in trouble.
    }
  }

  /** How a manifest was let in by itself; `undefined` also where that cannot be told: then it is judged anew. */
  async self(scope: string, repository: string, digest: Digest): Promise<LetInRecord | undefined> {
    const unwritten = this.#letIn.get(keyOf(scope, repository, digest));
    if (unwritten?.by === digest) return unwritten;
    try {
      return await this.#kept.verdicts.letInBy(scope, repository, digest, digest);
    } catch {
      return undefined;
    }
  }

  /** What lets it in at `now`; `undefined`: nothing does. Rejects where that cannot be told. */
  async by(scope: string, repository: string, digest: Digest, now: number): Promise<LetInRecord | undefined> {
    const unwritten = this.#letIn.get(keyOf(scope, repository, digest));
    if (unwritten !== undefined && isInForce(unwritten, now)) return unwritten;
    // Nearly always one is enough.
    const [first] = await this.#kept.verdicts.letIn(scope, repository, digest, 1);
    if (first === undefined || isInForce(first, now)) return first;
    return (await this.#kept.verdicts.letIn(scope, repository, digest)).find((record) => isInForce(record, now));
  }

  async letIn(scope: string, repository: string, entries: readonly LetIn[]): Promise<void> {
    try {
      await this.#kept.verdicts.putLetIn(scope, repository, entries);
      for (const { digest } of entries) this.#letIn.delete(keyOf(scope, repository, digest));
    } catch {
      for (const { digest, record } of entries) this.#letIn.set(keyOf(scope, repository, digest), record);
    }
  }

  /** Nothing of what a manifest let in is let in by it any longer. */
  async shutOut(scope: string, repository: string, digests: readonly Digest[], by: Digest): Promise<void> {
    for (const digest of digests) this.#letIn.delete(keyOf(scope, repository, digest));
    await this.#kept.verdicts.dropLetIn(scope, repository, digests, by);
  }

  /** True where there was one. */
  async forgetVerdict(scope: string, repository: string, digest: Digest): Promise<boolean> {
    const wasUnwritten = this.#verdicts.delete(keyOf(scope, repository, digest));
    return (await this.#kept.verdicts.drop(scope, repository, digest)) || wasUnwritten;
  }

  /** All by which a digest is let in, of those manifests. */
  async forgetLetIn(scope: string, repository: string, digest: Digest, of: ReadonlySet<Digest>): Promise<void> {
    this.#letIn.delete(keyOf(scope, repository, digest));
    for (const { by } of await this.#kept.verdicts.letIn(scope, repository, digest))
      if (of.has(by)) await this.#kept.verdicts.dropLetIn(scope, repository, [digest], by);
  }
}

function isInForce({ until }: LetInRecord, now: number): boolean {
  return until === undefined || now < until;
}

function keyOf(scope: string, repository: string, digest: Digest): string {
  return `${scope} ${repository} ${digest}`;
}
