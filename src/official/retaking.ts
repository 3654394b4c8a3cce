import type { BlobStore } from '../blobs/blob-store.ts';
import type { Records } from '../metadata/records.ts';
import { createAsking, type AskingOptions } from './asking.ts';

export interface RetakingOptions extends AskingOptions {
  readonly records: Pick<Records, 'official'>;
}

/**
 * The store for whoever answers clients: bytes that were taken over once, and were evicted or lost since, are taken again
 * from where they still are. Who may read them is the records' to say.
 */
export function withRetaking<S extends BlobStore>(store: S, options: RetakingOptions): S {
  const ask = createAsking(options);
  return {
    ...store,
    async open(digest) {
      const held = await store.open(digest);
      if (held !== undefined || (await isImported(options.records))) return held;
      return (await ask.bytes(digest)) ? store.open(digest) : undefined;
    },
  };
}

/** Without the metadata nothing can be noted of what would be taken. */
async function isImported(records: Pick<Records, 'official'>): Promise<boolean> {
  try {
    return (await records.official.imported()) !== undefined;
  } catch {
    return true;
  }
}
