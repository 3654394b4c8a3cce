import { signingKeysForm } from './forms.ts';
import { SIGNING_KEYS_KEY, SIGNING_SLOT } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { MaybePromise } from './metadata-store.ts';
import type { Table } from './table.ts';

/** One key that tokens are signed with. */
export interface SigningKey {
  readonly id: string;
  /** Its bytes, as base64url. */
  readonly secret: string;
  /** When it was made, ms since the epoch. */
  readonly at: number;
}

/** The keys of all nodes that share the store: a few, replaced as a whole. */
export interface SigningKeys {
  /** Empty where none were ever made, or what stands there cannot be read. */
  all(): MaybePromise<readonly SigningKey[]>;
  /** Puts `next` in the place of `before`; false, and nothing written, where others stand there by now. */
  replace(before: readonly SigningKey[], next: readonly SigningKey[]): Promise<boolean>;
}

export function createSigningKeys({ store, ...table }: Table): SigningKeys {
  const stored = () => table.getStored(SIGNING_SLOT, SIGNING_KEYS_KEY, signingKeysForm);
  return {
    all: () => andThen(stored(), ({ record }) => record?.keys ?? []),
    async replace(before, next) {
      const { bytes, record } = await stored();
      if (!signingKeysForm.same({ keys: record?.keys ?? [] }, { keys: before })) return false;
      const change = { key: SIGNING_KEYS_KEY, value: signingKeysForm.encode({ keys: next }) };
      return store.commit(SIGNING_SLOT, [change], [{ key: SIGNING_KEYS_KEY, value: bytes }]);
    },
  };
}
