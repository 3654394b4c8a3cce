import { layoutForm } from './forms.ts';
import { LAYOUT_KEY, LAYOUT_SLOT } from './keys.ts';
import type { MaybePromise, MetadataStore } from './metadata-store.ts';
import { MetadataRefused } from './unavailable.ts';

/** The layout of keys.ts and forms.ts, and the first version of the program that reads it. */
export const LAYOUT = { layout: 1, since: '0.1.0' } as const;

/**
 * The store, after it has shown that its layout is one we read. Asked before the first call that needs an answer, and again
 * until it was answered; every call rejects with {@link MetadataRefused} while the layout is newer than ours.
 */
export function withLayout(store: MetadataStore): MetadataStore {
  let known = false;
  let asking: Promise<void> | undefined;

  function ask(): Promise<void> {
    asking ??= claimLayout(store)
      .then(() => void (known = true))
      .finally(() => void (asking = undefined));
    return asking;
  }
  const when = <T>(act: () => MaybePromise<T>): MaybePromise<T> => (known ? act() : ask().then(act));

  return {
    get: (slot, key, value) => (known ? store.get(slot, key, value) : ask().then(() => store.get(slot, key))),
    list: (slot, collection, after, limit) => when(() => store.list(slot, collection, after, limit)),
    commit: async (slot, changes, conditions) => when(() => store.commit(slot, changes, conditions)),
    entries: () => after(ask, () => store.entries()),
    flushed: () => store.flushed(),
    ping: async () => when(() => store.ping()),
    close: () => store.close(),
  };
}

async function* after<T>(ask: () => Promise<void>, values: () => AsyncIterable<T>): AsyncGenerator<T> {
  await ask();
  yield* values();
}

async function claimLayout(store: MetadataStore): Promise<void> {
  const bytes = await store.get(LAYOUT_SLOT, LAYOUT_KEY);
  if (bytes === undefined) {
    const change = { key: LAYOUT_KEY, value: layoutForm.encode(LAYOUT) };
    if (await store.commit(LAYOUT_SLOT, [change], [{ key: LAYOUT_KEY, value: undefined }])) return;
    return claimLayout(store); // Another process was first: see what it claimed.
  }
  const found = layoutForm.decode(bytes);
  if (found === undefined) throw new MetadataRefused('the metadata carry no layout that this version can read');
  if (found.layout > LAYOUT.layout) {
    throw new MetadataRefused(
      `the metadata have layout ${found.layout}, which entrepot ${found.since} and later read; this version reads layout ${LAYOUT.layout}`,
    );
  }
}
