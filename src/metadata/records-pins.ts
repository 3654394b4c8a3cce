import type { Clock } from '../system/clock.ts';
import { pinForm } from './forms.ts';
import { PINS_SLOT, pinKey } from './keys.ts';
import { andThen } from './maybe-promise.ts';
import type { MaybePromise } from './metadata-store.ts';
import type { Table } from './table.ts';

/** A pattern of images that are never evicted, as somebody wrote it on a command line. */
export interface PinRecord {
  readonly text: string;
  /** Since when, ms since the epoch. */
  readonly at: number;
}

/** Pins that were set by command; those of the configuration stand there alone. */
export interface Pins {
  /** In byte order; no more than {@link PINS_MAX}. */
  pins(): MaybePromise<readonly PinRecord[]>;
  /** False, and nothing written, where there are as many as there may be; true where it stands already. */
  pin(text: string): Promise<boolean>;
  /** False where it is not there. */
  unpin(text: string): Promise<boolean>;
}

/** Each is compared with whatever is about to be evicted. */
export const PINS_MAX = 200;

export function createPins(table: Table, clock: Clock): Pins {
  const { store } = table;
  const pins = (): MaybePromise<readonly PinRecord[]> =>
    andThen(table.list(PINS_SLOT, 'pins', undefined, PINS_MAX, pinForm), (found) => found.map(({ record }) => record));
  return {
    pins,
    async pin(text) {
      const found = await pins();
      if (found.some((one) => one.text === text)) return true;
      if (found.length >= PINS_MAX) return false;
      await store.commit(PINS_SLOT, [{ key: pinKey(text), value: pinForm.encode({ text, at: clock.now() }) }]);
      return true;
    },
    async unpin(text) {
      const key = pinKey(text);
      const before = await store.get(PINS_SLOT, key);
      if (before === undefined) return false;
      return store.commit(PINS_SLOT, [{ key, value: undefined }], [{ key, value: before }]);
    },
  };
}
