import { refreshTokenForm } from './forms.ts';
import { refreshTokenKey, signInSlot } from './keys.ts';
import type { MaybePromise } from './metadata-store.ts';
import { untilMade, type Table } from './table.ts';

/** A refresh token that was given out; of itself only its hash is kept. */
export interface RefreshTokenRecord {
  /** Whose it is, as text. */
  readonly subject: string;
  /** Of the password that it was got with. */
  readonly fingerprint?: string;
  readonly audience: string;
  readonly created: number;
  /** When it was last used, roughly. */
  readonly used: number;
}

/** By owner, a short text that stands for the subject, and by the token's hash. */
export interface RefreshTokens {
  get(owner: string, hash: string): MaybePromise<RefreshTokenRecord | undefined>;
  /** Of the owner's others those that were last used before `since` go, and the longest unused beyond `max`, this one counted. */
  put(owner: string, hash: string, record: RefreshTokenRecord, keep: { since: number; max: number }): Promise<void>;
  /** Nothing where it is gone. */
  use(owner: string, hash: string, at: number): Promise<void>;
  drop(owner: string, hash: string): Promise<void>;
}

export function createRefreshTokens({ store, ...table }: Table): RefreshTokens {
  const get: RefreshTokens['get'] = (owner, hash) => table.get(signInSlot(owner), refreshTokenKey(hash), refreshTokenForm);

  async function crowdedOut(owner: string, { since, max }: { since: number; max: number }): Promise<readonly string[]> {
    const all: { readonly id: string; readonly used: number }[] = [];
    for await (const { id, record } of table.all(signInSlot(owner), 'refresh-tokens', refreshTokenForm))
      all.push({ id, used: record.used });
    all.sort((a, b) => b.used - a.used);
    return all.filter(({ used }, at) => used < since || at >= max - 1).map(({ id }) => id);
  }

  return {
    get,
    async put(owner, hash, record, keep) {
      const gone = (await crowdedOut(owner, keep)).map((id) => ({ key: refreshTokenKey(id), value: undefined }));
      await store.commit(signInSlot(owner), [...gone, { key: refreshTokenKey(hash), value: refreshTokenForm.encode(record) }]);
    },
    async use(owner, hash, at) {
      const [slot, key] = [signInSlot(owner), refreshTokenKey(hash)];
      await untilMade(async () => {
        const { bytes, record } = await table.getStored(slot, key, refreshTokenForm);
        if (record === undefined) return true;
        const change = { key, value: refreshTokenForm.encode({ ...record, used: at }) };
        return (await store.commit(slot, [change], [{ key, value: bytes }])) || undefined;
      });
    },
    async drop(owner, hash) {
      await store.commit(signInSlot(owner), [{ key: refreshTokenKey(hash), value: undefined }]);
    },
  };
}
