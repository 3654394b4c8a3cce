import { describe, expect, test } from 'vitest';
import { createDump, dumpedLink } from '../../../src/metadata/dump.ts';
import type { MetadataStore } from '../../../src/metadata/metadata-store.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import { digestOf, type Digest } from '../../../src/oci/digest.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';

const APP = 'local/team/app';
const digest = (of: string): Digest => digestOf(Buffer.from(of));
const clock = createFakeClock(1000);

async function linesOf(store: MetadataStore, cached = false): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createDump(store).lines(cached)) lines.push(line);
  return lines;
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) yield await Promise.resolve(line);
}

async function filled(): Promise<[MemoryMetadata, Records]> {
  const store = createMemoryMetadata();
  const records = createRecords(store, { clock });
  for (const [of, by] of [
    ['pushed', 'push'],
    ['fetched', 'upstream'],
  ] as const) {
    await records.putBlob(digest(of), { size: 5, public: false, state: 'held', at: 1 });
    await records.putLink(APP, digest(of), { kind: 'blob', size: 5, by, at: 1 });
  }
  return [store, records];
}

test('what was dumped is loaded, whatever its bytes are', async () => {
  const [store] = await filled();
  const odd = Uint8Array.of(0, 255, 10, 128);
  await store.commit('repository/ü', [{ key: ['tags', 'é\u2028'], value: odd }]);
  const lines = await linesOf(store);
  const other = createMemoryMetadata();
  const dump = createDump(other);
  expect(await dump.isEmpty()).toBe(true);
  expect(await dump.load(each(lines), () => Promise.resolve(true))).toBe(lines.length);
  expect(await dump.isEmpty()).toBe(false);
  expect(await linesOf(other)).toEqual(lines);
  expect(await other.get('repository/ü', ['tags', 'é\u2028'])).toEqual(odd);
  // Durable when it resolves.
  other.crash();
  expect(await linesOf(other)).toEqual(lines);
});

describe('left out', () => {
  test('is what is under way: leases, parts, uploads, and which store it was', async () => {
    const [store, records] = await filled();
    const before = await linesOf(store);
    await records.takeLease({ registry: 'docker.io', digest: digest('x') }, 'a', 0, 100);
    await records.tasks.takeLease('collect', 'a', 0, 100);
    await records.putPart(
      { registry: 'docker.io', digest: digest('x') },
      { id: 'a', generation: 1, synced: 0, size: 1, at: 1 },
    );
    await records.putUpload(APP, 'u', undefined, { part: 'p', offset: 0, started: 1, at: 1 });
    await records.claimEpoch('one');
    expect(await linesOf(store)).toEqual(before);
  });

  test('[S49] are the keys of our tokens, which are secrets; not what clients sign in with, which is kept as a hash', async () => {
    const [store, records] = await filled();
    await records.signingKeys.replace([], [{ id: 'a', secret: 'c2VjcmV0', at: 1 }]);
    await records.refreshTokens.put(
      'owner',
      'hash',
      { subject: '{}', audience: 'a', created: 1, used: 1 },
      { since: 0, max: 1 },
    );
    const lines = await linesOf(store, true);
    expect(lines.join('\n')).not.toContain('c2VjcmV0');
    expect(lines.filter((line) => line.includes('refresh-tokens'))).toHaveLength(1);
  });

  test('is what counts cached content, unless that is in the backup too', async () => {
    const [store, records] = await filled();
    const before = await linesOf(store);
    await records.inventory.enter(digest('fetched'), { size: 5, position: 1 });
    expect(await linesOf(store)).toEqual(before);
    expect((await linesOf(store, true)).length).toBeGreaterThan(before.length);
  });

  test('is the record of a digest whose bytes are not there, or were being removed; its places stay', async () => {
    const [store, records] = await filled();
    const [gone, held] = [digest('gone'), digest('pushed')];
    await records.putBlob(gone, { size: 1, public: false, state: 'held', at: 1 });
    expect(await records.markDeleting(gone, { size: 1, public: false, state: 'held', at: 1 })).toBe(true);
    const other = createMemoryMetadata();
    const fresh = createRecords(other, { clock });
    await createDump(other).load(each(await linesOf(store)), async (one) => one === held || one === gone);
    expect(await fresh.blob(held)).toMatchObject({ state: 'held' });
    expect(await fresh.blob(gone)).toBeUndefined();
    expect(await fresh.blob(digest('fetched'))).toBeUndefined();
    expect(await fresh.link(APP, digest('fetched'))).toMatchObject({ by: 'upstream' });
    expect(await fresh.holders(digest('fetched'), undefined, 10)).toEqual([APP]);
  });
});

test('[GHSA-95fx-g94v-8jqg] what no backup holds is not loaded from one: no key to sign tokens with, no lease, no other layout', async () => {
  const store = createMemoryMetadata();
  const line = (slot: string, collection: string, text: string): string => JSON.stringify({ slot, collection, id: 'it', text });
  const foreign = [
    line('signing', 'keys', '{"keys":[{"id":"a","secret":"c2VjcmV0","at":1}]}'),
    line('task/collect', 'lease', '{"holder":"x"}'),
    line('layout', 'layout', '{"layout":99,"since":"1"}'),
  ];
  const [whole] = await filled();
  await createDump(store).load(each([...foreign, ...(await linesOf(whole))]), async () => true);
  const records = createRecords(store, { clock });
  expect(await records.signingKeys.all()).toEqual([]);
  expect(JSON.stringify(await linesOf(store, true))).toBe(JSON.stringify(await linesOf(whole, true)));
  const collections: string[] = [];
  for await (const { collection } of store.entries()) collections.push(collection);
  expect(collections).not.toContain('lease');
});

test('a line says which content a backup needs', async () => {
  const [store] = await filled();
  const links = (await linesOf(store)).flatMap((line) => dumpedLink(line) ?? []);
  expect(links.sort((a, b) => Number(a.hosted) - Number(b.hosted))).toEqual([
    { repository: APP, digest: digest('fetched'), size: 5, hosted: false },
    { repository: APP, digest: digest('pushed'), size: 5, hosted: true },
  ]);
});

test.each(['{"half', '{}', '[]', 'null', '{"slot":"a","collection":"tags","id":"x"}'])('%j is no line', async (line) => {
  const other = createMemoryMetadata();
  await expect(createDump(other).load(each([line]), () => Promise.resolve(true))).rejects.toThrow(Error);
});

test('what judges said, and what they let in, is in a backup', async () => {
  const [store, records] = await filled();
  const said = {
    judge: 'admit',
    fingerprint: 'f',
    repository: APP,
    digest: digest('x'),
    admitted: true,
    reason: 'r',
    at: 1,
    used: 1,
  };
  await records.verdicts.put('s', said);
  await records.verdicts.putLetIn('s', APP, [{ digest: digest('x'), record: { by: digest('x'), at: 1 } }]);
  const other = createMemoryMetadata();
  await createDump(other).load(each(await linesOf(store)), () => Promise.resolve(false));
  const restored = createRecords(other, { clock }).verdicts;
  expect(await restored.get('s', APP, digest('x'))).toEqual(said);
  expect(await restored.letIn('s', APP, digest('x'))).toEqual([{ by: digest('x'), at: 1 }]);
});
