import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Entry, MetadataStore } from '../../src/metadata/metadata-store.ts';

export interface StoreUnderTest {
  /** Empty. */
  readonly store: MetadataStore;
  /** Another way into the same data, as another process has; closed with it. */
  readonly other: MetadataStore;
  clean(): Promise<void>;
}

/** What every MetadataStore must do. */
export function metadataStoreConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`metadata store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: MetadataStore;

    beforeEach(async () => {
      under = await make();
      store = under.store;
    });
    afterEach(() => under.clean());

    const put = (id: string, text: string): Promise<boolean> => store.commit('s', [{ key: ['tags', id], value: bytes(text) }]);
    const textOf = async (id: string): Promise<string | undefined> => text(await store.get('s', ['tags', id]));
    const ids = async (after?: string, limit = 100): Promise<string[]> => idsOf(await store.list('s', 'tags', after, limit));

    test('what was put is got, replaced, and removed', async () => {
      expect(await textOf('a')).toBeUndefined();
      expect(await put('a', 'one')).toBe(true);
      expect(await textOf('a')).toBe('one');
      await put('a', 'two');
      expect(await textOf('a')).toBe('two');
      await store.commit('s', [{ key: ['tags', 'a'], value: undefined }]);
      expect(await textOf('a')).toBeUndefined();
      expect(await ids()).toEqual([]);
    });

    test('a value that is known already is said as it is now', async () => {
      await put('a', 'one');
      const known = await store.get('s', ['tags', 'a']);
      const again = async (): Promise<string | undefined> => text(await store.get('s', ['tags', 'a'], known));
      expect(await again()).toBe('one');
      for (const other of ['two', 'one more', 'on', '', 'one']) {
        await under.other.commit('s', [{ key: ['tags', 'a'], value: bytes(other) }]);
        expect(await again()).toBe(other);
      }
      await under.other.commit('s', [{ key: ['tags', 'a'], value: undefined }]);
      expect(await again()).toBeUndefined();
    });

    test('a value is bytes of any kind and length', async () => {
      const values = [new Uint8Array(0), Uint8Array.of(0, 255, 10, 128), new Uint8Array(300_000).fill(7)];
      for (const value of values) {
        await store.commit('s', [{ key: ['blob', 'it'], value }]);
        expect(Buffer.compare((await store.get('s', ['blob', 'it'])) ?? Buffer.from('absent'), value)).toBe(0);
      }
    });

    test('everything in it can be read, whatever is written meanwhile', async () => {
      const slots = ['repository/a', 'repository/b}%', 'digest/sha256:é', 'layout'];
      const collections = ['links', 'owner', 'tags'];
      const wanted = new Map<string, string>();
      for (const slot of slots) {
        for (const collection of collections) {
          const ids = Array.from({ length: slot === 'repository/a' ? 700 : 2 }, (_, at) => `id ${at}`);
          for (const id of ids) wanted.set([slot, collection, id].join('|'), `${slot} ${id}`);
          await store.commit(
            slot,
            ids.map((id) => ({ key: [collection, id], value: bytes(`${slot} ${id}`) })),
          );
        }
      }
      const found = new Map<string, string>();
      for await (const { slot, collection, id, value } of store.entries()) {
        if (found.size === 3) await under.other.commit('digest/new', [{ key: ['tags', 'x'], value: bytes('x') }]);
        if (slot !== 'digest/new') found.set([slot, collection, id].join('|'), text(value) ?? '');
      }
      expect(found.size).toBe(wanted.size);
      expect(found).toEqual(wanted);
    });

    test('what is read of it whole never refers to what it leaves out', async () => {
      const old = Array.from({ length: 600 }, (_, at) => ({ key: ['links', `old ${at}`] as const, value: bytes('0') }));
      await store.commit('repository/a', [...old, { key: ['tags', 'old'], value: bytes('0') }]);
      const [tags, links] = [new Set<string>(), new Set<string>()];
      let at = 0;
      for await (const { collection, id } of store.entries()) {
        if (collection === 'tags') tags.add(id);
        if (collection === 'links') links.add(id);
        at += 1;
        if (at > 20) continue;
        // A push while it is being read.
        await under.other.commit('repository/a', [
          { key: ['links', `l${at}`], value: bytes('x') },
          { key: ['tags', `l${at}`], value: bytes('x') },
        ]);
      }
      tags.delete('old');
      expect([...tags].filter((tag) => !links.has(tag))).toEqual([]);
    });

    test('slots, collections and ids do not run into each other', async () => {
      const keys = [
        ['s', 'tags', 'a'],
        ['s', 'links', 'a'],
        ['sa', 'tags', 'a'],
        ['s}', 'tags', 'a'],
        ['s%7D', 'tags', 'a'],
        ['{s', 'tags', 'a'],
        ['}', 'tags', 'a'],
        ['s', 'tags', 'tags a'],
      ] as const;
      for (const [at, [slot, collection, id]] of keys.entries()) {
        await store.commit(slot, [{ key: [collection, id], value: bytes(String(at)) }]);
      }
      for (const [at, [slot, collection, id]] of keys.entries()) {
        expect(text(await store.get(slot, [collection, id]))).toBe(String(at));
      }
      expect(idsOf(await store.list('s', 'tags', undefined, 10))).toEqual(['a', 'tags a']);
    });

    test('ids list in the order of their bytes, which is not that of UTF-16', async () => {
      const inOrder = ['-', '0', '10', '9', 'A', 'a', 'a b', 'ab', 'b', 'é', '\uff5e', '\u{1f600}'];
      for (const id of inOrder.toReversed()) await put(id, id);
      expect(await ids()).toEqual(inOrder);
      expect(await ids('a b', 2)).toEqual(['ab', 'b']);
      expect(await ids('aa')).toEqual(inOrder.slice(7));
      expect(await ids(undefined, 3)).toEqual(inOrder.slice(0, 3));
      expect(await ids('\u{1f600}')).toEqual([]);
      const [first] = await store.list('s', 'tags', undefined, 1);
      expect(text(first?.value)).toBe('-');
    });

    test('parts of a key up to 512 bytes; longer, empty or with NUL is a RangeError', async () => {
      const long = 'é'.repeat(256);
      await store.commit(long, [{ key: ['tags', long], value: bytes('x') }]);
      expect(text(await store.get(long, ['tags', long]))).toBe('x');
      expect(idsOf(await store.list(long, 'tags', undefined, 2))).toEqual([long]);
      for (const wrong of [`${long}a`, '', 'a\0b']) {
        await expect(store.commit('s', [{ key: ['tags', wrong], value: bytes('x') }])).rejects.toThrow(RangeError);
        await expect(store.commit(wrong, [{ key: ['tags', 'a'], value: bytes('x') }])).rejects.toThrow(RangeError);
      }
    });

    test('only declared collections can be listed', async () => {
      await expect((async () => await store.list('s', 'blob', undefined, 1))()).rejects.toThrow(/not ordered/);
    });

    test('a condition that does not hold makes nothing', async () => {
      await put('a', 'one');
      const change = [
        { key: ['tags', 'a'], value: bytes('two') },
        { key: ['links', 'b'], value: bytes('new') },
      ] as const;
      expect(await store.commit('s', change, [{ key: ['tags', 'a'], value: bytes('zero') }])).toBe(false);
      expect(await store.commit('s', change, [{ key: ['tags', 'a'], value: undefined }])).toBe(false);
      expect(await store.commit('s', change, [{ key: ['tags', 'c'], value: bytes('') }])).toBe(false);
      expect(await textOf('a')).toBe('one');
      expect(await store.get('s', ['links', 'b'])).toBeUndefined();
      const conditions = [
        { key: ['tags', 'a'], value: bytes('one') },
        { key: ['links', 'b'], value: undefined },
      ] as const;
      expect(await store.commit('s', change, conditions)).toBe(true);
      expect(await textOf('a')).toBe('two');
      expect(text(await store.get('s', ['links', 'b']))).toBe('new');
    });

    test('an empty value is not absence', async () => {
      await put('a', '');
      expect(await store.commit('s', [], [{ key: ['tags', 'a'], value: undefined }])).toBe(false);
      expect(await store.commit('s', [], [{ key: ['tags', 'a'], value: bytes('') }])).toBe(true);
    });

    test('of many that want the same change at once, one makes it', async () => {
      await put('a', '0');
      const rivals = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? store : under.other));
      const made = await Promise.all(
        rivals.map((rival, at) =>
          rival.commit('s', [{ key: ['tags', 'a'], value: bytes(`by ${at}`) }], [{ key: ['tags', 'a'], value: bytes('0') }]),
        ),
      );
      expect(made.filter(Boolean)).toHaveLength(1);
      expect(await textOf('a')).toBe(`by ${made.indexOf(true)}`);
    });

    test('another way in sees at once what was committed, however lately it read', async () => {
      const ways = [store, under.other] as const;
      for (let at = 0; at < 50; at++) {
        const [writer, reader] = at % 2 === 0 ? ways : ([ways[1], ways[0]] as const);
        const committed = writer.commit('s', [{ key: ['tags', 'a'], value: bytes(String(at)) }]);
        while (!(await Promise.race([committed, Promise.resolve(false)]))) {
          await reader.get('s', ['tags', 'a']);
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(text(await reader.get('s', ['tags', 'a']))).toBe(String(at));
        expect((await reader.list('s', 'tags', undefined, 1)).map(({ value }) => text(value))).toEqual([String(at)]);
      }
    });

    test('what is given and what is got may be changed by their owner', async () => {
      const value = bytes('one');
      await store.commit('s', [{ key: ['tags', 'a'], value }]);
      value.fill(0);
      const got = await store.get('s', ['tags', 'a']);
      got?.fill(0);
      const [listed] = await store.list('s', 'tags', undefined, 1);
      listed?.value.fill(0);
      expect(await textOf('a')).toBe('one');
    });

    test('ping and flushed answer; close may be called twice', async () => {
      await put('a', 'one');
      await store.ping();
      await store.flushed();
      await store.close();
      await store.close();
    });
  });
}

export const bytes = (value: string): Uint8Array => Buffer.from(value);
export const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString();
const idsOf = (entries: readonly Entry[]): string[] => entries.map(({ id }) => id);
