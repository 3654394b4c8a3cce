import type { MemoryMetadata } from './memory-metadata.ts';

/** Acts once, before the nth commit from here on. Yields what ends that, and says whether so many commits came. */
export function beforeNthCommit(store: MemoryMetadata, nth: number, act: () => unknown): () => boolean {
  let left = nth;
  store.beforeCommit(async () => {
    left -= 1;
    if (left !== 0) return;
    store.beforeCommit(undefined);
    await act();
  });
  return () => {
    store.beforeCommit(undefined);
    return left <= 0;
  };
}
