import type { Digest } from '../oci/digest.ts';
import { letInForm, verdictForm } from './forms.ts';
import { ADMISSION_SLOTS, admissionSlot, letInKey, letInStart, verdictKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { Change, MaybePromise } from './metadata-store.ts';
import type { Table } from './table.ts';

/** What a judge said of a manifest in a repository. */
export interface VerdictRecord {
  readonly judge: string;
  /** Of all by which it was judged. */
  readonly fingerprint: string;
  /** With its registry. */
  readonly repository: string;
  readonly digest: Digest;
  readonly admitted: boolean;
  readonly reason: string;
  /** When it was said. */
  readonly at: number;
  /** When it last counted, roughly. */
  readonly used: number;
}

/** That a manifest lets something in: itself, a blob that it names, a child of an index. */
export interface LetInRecord {
  readonly by: Digest;
  readonly at: number;
  /** For so long; absent: until it is forgotten. */
  readonly until?: number;
}

export interface LetIn {
  readonly digest: Digest;
  readonly record: LetInRecord;
}

/** `scope` is a short text that stands for the rules under which something was asked; other rules, other answers. */
export interface Verdicts {
  get(scope: string, repository: string, digest: Digest): MaybePromise<VerdictRecord | undefined>;
  put(scope: string, record: VerdictRecord): Promise<void>;
  drop(scope: string, repository: string, digest: Digest): Promise<boolean>;
  /** What lets the digest in, at most `limit` of it (default {@link LET_IN_MAX}): content that more share is let in all the same. */
  letIn(scope: string, repository: string, digest: Digest, limit?: number): MaybePromise<readonly LetInRecord[]>;
  letInBy(scope: string, repository: string, digest: Digest, by: Digest): MaybePromise<LetInRecord | undefined>;
  /** In this order: who reads the last of them finds all the others. */
  putLetIn(scope: string, repository: string, entries: readonly LetIn[]): Promise<void>;
  dropLetIn(scope: string, repository: string, digests: readonly Digest[], by: Digest): Promise<void>;
  /** Forgets what did not count since `before`, and what was let in only until `now`. Yields how many entries went. */
  forget(before: number, now: number): Promise<number>;
}

export const LET_IN_MAX = 64;

/** Changes that one commit makes at most. */
const BATCH = 500;

export function createVerdicts({ store, ...table }: Table): Verdicts {
  async function commitAll(repository: string, changes: readonly Change[]): Promise<void> {
    for (let at = 0; at < changes.length; at += BATCH)
      await store.commit(admissionSlot(repository), changes.slice(at, at + BATCH));
  }

  /** Only as it was read: what counts again meanwhile stays. */
  async function forgetOne(slot: string, collection: 'verdicts' | 'let-in', id: string, isOld: IsOld): Promise<number> {
    const key = [collection, id] as const;
    const bytes = await store.get(slot, key);
    const record = bytes && (collection === 'verdicts' ? verdictForm : letInForm).decode(bytes);
    if (bytes === undefined || record === undefined || !isOld(record)) return 0;
    return (await store.commit(slot, [{ key, value: undefined }], [{ key, value: bytes }])) ? 1 : 0;
  }

  return {
    get: (scope, repository, digest) =>
      table.get(admissionSlot(repository), verdictKey(scope, repository, digest), verdictForm),
    async put(scope, record) {
      const { repository, digest } = record;
      const change = { key: verdictKey(scope, repository, digest), value: verdictForm.encode(record) };
      await store.commit(admissionSlot(repository), [change]);
    },
    async drop(scope, repository, digest) {
      const [slot, key] = [admissionSlot(repository), verdictKey(scope, repository, digest)];
      if ((await store.get(slot, key)) === undefined) return false;
      await store.commit(slot, [{ key, value: undefined }]);
      return true;
    },
    letIn: (scope, repository, digest, limit = LET_IN_MAX) => {
      const start = letInStart(scope, repository, digest);
      return andThen(table.list(admissionSlot(repository), 'let-in', start, limit, letInForm), (found) =>
        found.filter(({ id }) => id.startsWith(start)).map(({ record }) => record),
      );
    },
    letInBy: (scope, repository, digest, by) =>
      table.get(admissionSlot(repository), letInKey(scope, repository, digest, by), letInForm),
    putLetIn: (scope, repository, entries) =>
      commitAll(
        repository,
        entries.map(({ digest, record }) => ({
          key: letInKey(scope, repository, digest, record.by),
          value: letInForm.encode(record),
        })),
      ),
    dropLetIn: (scope, repository, digests, by) =>
      commitAll(
        repository,
        digests.map((digest) => ({ key: letInKey(scope, repository, digest, by), value: undefined })),
      ),
    async forget(before, now) {
      const isOld: IsOld = (record) =>
        'used' in record ? record.used < before : record.at < before || (record.until ?? Infinity) <= now;
      let forgotten = 0;
      for (const slot of ADMISSION_SLOTS) {
        for await (const { id, record } of table.all(slot, 'verdicts', verdictForm))
          if (isOld(record)) forgotten += await forgetOne(slot, 'verdicts', id, isOld);
        for await (const { id, record } of table.all(slot, 'let-in', letInForm))
          if (isOld(record)) forgotten += await forgetOne(slot, 'let-in', id, isOld);
      }
      return forgotten;
    },
  };
}

type IsOld = (record: VerdictRecord | LetInRecord) => boolean;
