import type { Digest } from '../oci/digest.ts';
import { readCounter } from './counters.ts';
import { describedForm, linkForm, ownerForm, referrerForm, tagForm } from './forms.ts';
import { HOSTED, isHosted, type HostedPush, type HostedResult } from './hosted.ts';
import { OWNER_KEY, REVISION_KEY, describedKey, linkKey, referrerKey, repositorySlot, tagKey } from './keys.ts';
import type { Change, Condition } from './metadata-store.ts';
import type { Catalogue } from './records-catalogue.ts';
import type { Holders } from './records-holders.ts';
import type { LinkRecord, Records } from './records.ts';
import { untilMade, type Table } from './table.ts';
import { nextMove } from './tag-moves.ts';
import { countUsage, type LinkChange } from './usage.ts';

/** What a commit is made of, gathered step by step. */
interface Draft {
  readonly changes: Change[];
  readonly conditions: Condition[];
  readonly links: LinkChange[];
}

type Moved = Extract<HostedResult, { kind: 'done' }>['moved'];

/** Tags that came from an upstream and are dropped in one commit. */
const BATCH = 500;

/**
 * Pushed manifests. Every commit on what a repository hosts counts its revision on, which is read before all else: so of two
 * that cross one is tried again, and sees the other. What an upstream's answer may change meanwhile stands in conditions.
 */
export function createHosted(table: Table, catalogue: Catalogue, holders: Holders): Pick<Records, 'putHosted'> {
  const { store } = table;

  async function addTags(draft: Draft, slot: string, push: HostedPush): Promise<Moved | { readonly immutable: string }> {
    const { digest, link, at } = push;
    const moved: { tag: string; from: Digest | undefined }[] = [];
    for (const tag of new Set(push.tags)) {
      const key = tagKey(tag);
      const before = await table.getStored(slot, key, tagForm);
      const from = before.record?.upstream === HOSTED ? before.record.digest : undefined;
      if (from !== undefined && from !== digest && push.immutable(tag)) return { immutable: tag };
      const { mediaType, size } = link;
      const record = { digest, mediaType, size, checked: at, upstream: HOSTED };
      draft.changes.push({ key, value: tagForm.encode(record) });
      draft.conditions.push({ key, value: before.bytes });
      if (from === digest) continue;
      const move = await nextMove(table, slot, tag, { at, digest, upstream: HOSTED });
      draft.changes.push(...move.changes);
      draft.conditions.push(move.condition);
      moved.push({ tag, from });
    }
    return moved;
  }

  /** Yields the first that is not linked here, or whose bytes are not held any more. */
  async function addNeeds(draft: Draft, repository: string, push: HostedPush): Promise<Digest | undefined> {
    const slot = repositorySlot(repository);
    const needs = [...new Set(push.needs)].filter((digest) => digest !== push.digest);
    const links = await Promise.all(needs.map(async (digest) => table.getStored(slot, linkKey(digest), linkForm)));
    for (const [at, digest] of needs.entries()) {
      const { bytes, record } = links[at] ?? {};
      if (record === undefined) return digest;
      const adopted: LinkRecord = { ...record, by: isHosted(record) ? record.by : 'push', at: push.at };
      if (!isHosted(record) && !(await holders.put(repository, digest, adopted, 'only-if-held'))) return digest;
      draft.changes.push({ key: linkKey(digest), value: linkForm.encode(adopted) });
      draft.conditions.push({ key: linkKey(digest), value: bytes });
      draft.links.push({ before: { bytes, record }, after: adopted });
    }
    return undefined;
  }

  /** So that collect sees them needed. */
  async function addWants(draft: Draft, slot: string, { wants = [], needs, digest, at }: HostedPush): Promise<void> {
    const others = new Set([digest, ...needs]);
    for (const want of new Set(wants)) {
      if (others.has(want)) continue;
      const key = linkKey(want);
      const { bytes, record } = await table.getStored(slot, key, linkForm);
      if (record !== undefined && isHosted(record)) draft.changes.push({ key, value: linkForm.encode({ ...record, at }) });
      draft.conditions.push({ key, value: bytes });
    }
  }

  async function addManifest({ changes, conditions, links }: Draft, slot: string, push: HostedPush): Promise<void> {
    const { digest, link, described, subject, referrer } = push;
    const before = await table.getStored(slot, linkKey(digest), linkForm);
    conditions.push({ key: linkKey(digest), value: before.bytes });
    links.push({ before, after: link });
    const named = subject === undefined ? link : { ...link, subject };
    changes.push(...described.map((child) => ({ key: describedKey(child.digest), value: describedForm.encode(child.record) })));
    changes.push({ key: linkKey(digest), value: linkForm.encode(named) });
    if (subject === undefined || referrer === undefined) return;
    changes.push({ key: referrerKey(subject, digest), value: referrerForm.encode(referrer) });
  }

  /** `first`: the repository had no owner. */
  async function tryPut(repository: string, push: HostedPush) {
    const slot = repositorySlot(repository);
    const revision = await readCounter(table, slot, REVISION_KEY);
    const draft: Draft = { changes: [revision.change], conditions: [revision.condition], links: [] };
    const first = (await store.get(slot, OWNER_KEY)) === undefined;
    const moved = await addTags(draft, slot, push);
    if ('immutable' in moved) return { result: { kind: 'immutable', tag: moved.immutable }, first } as const;
    const missing = await addNeeds(draft, repository, push);
    if (missing !== undefined) return { result: { kind: 'missing', digest: missing }, first } as const;
    await addWants(draft, slot, push);
    await addManifest(draft, slot, push);
    const usage = await countUsage(table, slot, draft.links);
    draft.changes.push(...usage.changes);
    draft.conditions.push(...usage.conditions);
    const by = push.link.by === 'import' ? 'import' : 'push';
    if (first) draft.changes.push({ key: OWNER_KEY, value: ownerForm.encode({ by, at: push.at }) });
    const made = await store.commit(slot, draft.changes, draft.conditions);
    return made ? ({ result: { kind: 'done', moved }, first } as const) : undefined;
  }

  /** They do not count since the owner was written; a crash that leaves some leaves no more than that. */
  async function dropMirroredTags(slot: string): Promise<void> {
    for (let after: string | undefined; ;) {
      const page = await store.list(slot, 'tags', after, BATCH);
      if (page.length === 0) return;
      const mirrored = page.filter(({ value }) => tagForm.decode(value)?.upstream !== HOSTED);
      const made = await store.commit(
        slot,
        mirrored.map(({ id }) => ({ key: ['tags', id], value: undefined })),
        mirrored.map(({ id, value }) => ({ key: ['tags', id], value })),
      );
      if (made) after = page.at(-1)?.id;
    }
  }

  return {
    async putHosted(repository, push) {
      const { digest, link } = push;
      if (!(await holders.put(repository, digest, link, 'only-if-held'))) return { kind: 'unheld' };
      await catalogue.enlist(repository);
      const { result, first } = await untilMade(() => tryPut(repository, push));
      if (result.kind !== 'done') {
        await catalogue.delistIfEmpty(repository);
        return result;
      }
      // Gone with all that was held, where the wall clock jumped over what kept it.
      const restored = holders.restore(repository, digest, link, 'only-if-held');
      const [stands] = await Promise.all([restored, catalogue.enlist(repository)]);
      if (first) await dropMirroredTags(repositorySlot(repository));
      return stands ? result : { kind: 'unheld' };
    },
  };
}
