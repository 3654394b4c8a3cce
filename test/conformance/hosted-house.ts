import { expect } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import type { HostedPush, HostedResult, Records, ReferrerRecord } from '../../src/metadata/records.ts';
import { digest } from './records.ts';

/** Whose bytes are on the disk; shared by all processes, as the disk is. */
export type Bytes = Set<Digest>;

export interface Push {
  readonly tags?: readonly string[];
  readonly needs?: readonly Digest[];
  readonly subject?: Digest;
  readonly referrer?: ReferrerRecord;
  readonly immutable?: boolean;
  readonly at?: number;
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

export const hostedPush = (of: string, push: Push = {}): HostedPush => ({
  digest: digest(of),
  link: { kind: 'manifest', size: of.length, mediaType: MANIFEST, by: 'push', at: push.at ?? 5 },
  described: (push.needs ?? []).map((each) => ({ digest: each, record: { size: 1, mediaType: 'm', public: false } })),
  needs: push.needs ?? [],
  tags: push.tags ?? [],
  immutable: () => push.immutable === true,
  at: push.at ?? 5,
  ...(push.subject === undefined ? {} : { subject: push.subject }),
  ...(push.referrer === undefined ? {} : { referrer: push.referrer }),
});

/** Bytes as a push writes them: held first, then there. False where a deletion is in its way. */
async function write(records: Records, bytes: Bytes, repository: string, of: Digest, kind: 'manifest' | 'blob', at: number) {
  if (!(await records.hold(repository, of, { kind, by: 'push' }))) return false;
  bytes.add(of);
  return records.putBlob(of, { size: 1, public: false, state: 'held', at });
}

/** A blob as the push room pushes it; `false`: to be tried again. */
export async function pushBlob(records: Records, bytes: Bytes, repository: string, of: string, at = 5): Promise<boolean> {
  if (!(await write(records, bytes, repository, digest(of), 'blob', at))) return false;
  return records.putHostedLink(repository, digest(of), { kind: 'blob', size: 1, by: 'push', at });
}

/** A manifest as the push room pushes it. */
export async function push(
  records: Records,
  bytes: Bytes,
  repository: string,
  of: string,
  what: Push = {},
): Promise<HostedResult> {
  if (!(await write(records, bytes, repository, digest(of), 'manifest', what.at ?? 5))) return { kind: 'unheld' };
  return records.putHosted(repository, hostedPush(of, what));
}

/** Takes what no repository holds, without any grace: what is being pushed must be safe all the same. */
export async function sweep(records: Records, bytes: Bytes): Promise<void> {
  for (const each of await records.hostedDigests(undefined, 1000)) {
    for (const repository of await records.holders(each, undefined, 1000)) await records.dropHolder(repository, each);
    const blob = await records.blob(each);
    if (blob?.state !== 'deleting' && !(await records.markDeleting(each, blob))) continue;
    bytes.delete(each);
    await records.forget(each);
  }
}

/** What must hold between any two commits, whoever made them. */
export async function mustBeWhole(records: Records, bytes: Bytes, repositories: readonly string[]): Promise<void> {
  const swept = new Set(await records.hostedDigests(undefined, 1000));
  for (const repository of repositories) {
    const links = new Map((await records.links(repository, undefined, 1000)).map((each) => [each.digest, each.record]));
    for (const [of, link] of links) {
      // A link that an upstream granted may outlive its bytes: they are fetched again.
      if (link.by === 'push') expect(bytes.has(of), `the bytes of ${of}`).toBe(true);
      if (link.by === 'push') expect((await records.blob(of))?.state).toBe('held');
      expect(await records.holders(of, undefined, 1000)).toContain(repository);
      if (link.by === 'push') expect(swept.has(of), `${of} is known to collect`).toBe(true);
      if (link.subject === undefined) continue;
      const referrers = await records.referrers(repository, link.subject, undefined, 1000);
      expect(referrers.map((each) => each.digest)).toContain(of);
    }
    const hosted = [...links.values()].filter(({ by }) => by === 'push' || by === 'mount' || by === 'import');
    expect(await records.quota.hostedBytes(repository), 'hosted bytes').toBe(hosted.reduce((sum, { size }) => sum + size, 0));
    const tags = await records.hostedTags(repository, undefined, 1000);
    for (const { record } of tags) expect([...links.keys()]).toContain(record.digest);
    if (tags.length > 0) expect(await records.owner(repository)).toBeDefined();
    if (links.size + tags.length > 0) expect(await records.repositories(undefined, 1000)).toContain(repository);
  }
}
