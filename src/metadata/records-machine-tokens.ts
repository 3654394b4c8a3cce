import { machineTokenForm, machineTokenNameForm, machineTokenUseForm } from './forms.ts';
import { MACHINE_TOKENS_SLOT, machineTokenKey, machineTokenNameKey, machineTokenUseKey } from './keys.ts';
import type { MaybePromise } from './metadata-store.ts';
import { untilMade, type Table } from './table.ts';

/** A token for a machine; of its secret only the hash is kept. */
export interface MachineTokenRecord {
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the secret, as hex. */
  readonly hash: string;
  readonly created: number;
  /** It is none from then on; `undefined`: until it is revoked. */
  readonly expires?: number;
}

export interface MachineTokenRecords {
  /** One read; expired ones too. */
  get(id: string): MaybePromise<MachineTokenRecord | undefined>;
  /** All of them, in no order, with their last use; no more than {@link MACHINE_TOKENS_MAX}. */
  all(): Promise<readonly { readonly record: MachineTokenRecord; readonly used: number | undefined }[]>;
  /**
   * `taken`, and nothing written, where one of that name has not expired at `record.created`; one that has gives way. `full`
   * where there are as many as there may be.
   */
  create(record: MachineTokenRecord): Promise<'created' | 'taken' | 'full'>;
  /** By its name; yields what it was. */
  drop(name: string): Promise<MachineTokenRecord | undefined>;
  /** Nothing where it is gone. */
  used(id: string, at: number): Promise<void>;
}

/** All are listed at once. */
export const MACHINE_TOKENS_MAX = 1000;

export function createMachineTokenRecords({ store, ...table }: Table): MachineTokenRecords {
  const slot = MACHINE_TOKENS_SLOT;
  const stored = (id: string) => table.getStored(slot, machineTokenKey(id), machineTokenForm);
  const storedName = (name: string) => table.getStored(slot, machineTokenNameKey(name), machineTokenNameForm);
  const list = () => table.list(slot, 'machine-tokens', undefined, MACHINE_TOKENS_MAX, machineTokenForm);
  const gone = (id: string) => [machineTokenKey(id), machineTokenUseKey(id)].map((key) => ({ key, value: undefined }));

  return {
    get: (id) => table.get(slot, machineTokenKey(id), machineTokenForm),
    async all() {
      const found = await list();
      const uses = found.map(({ record }) => table.get(slot, machineTokenUseKey(record.id), machineTokenUseForm));
      return Promise.all(found.map(async ({ record }, at) => ({ record, used: (await uses[at])?.at })));
    },
    create: (record) =>
      untilMade(async () => {
        const name = await storedName(record.name);
        const before = name.record && (await stored(name.record.id)).record;
        if (before !== undefined && (before.expires ?? Infinity) > record.created) return 'taken';
        if (before === undefined && (await list()).length >= MACHINE_TOKENS_MAX) return 'full';
        const changes = [
          ...(before === undefined ? [] : gone(before.id)),
          { key: machineTokenNameKey(record.name), value: machineTokenNameForm.encode({ id: record.id }) },
          { key: machineTokenKey(record.id), value: machineTokenForm.encode(record) },
        ];
        const made = await store.commit(slot, changes, [{ key: machineTokenNameKey(record.name), value: name.bytes }]);
        return made ? 'created' : undefined;
      }),
    async drop(name) {
      const dropped = await untilMade(async () => {
        const { bytes, record } = await storedName(name);
        if (record === undefined) return { record };
        const before = (await stored(record.id)).record;
        const changes = [{ key: machineTokenNameKey(name), value: undefined }, ...gone(record.id)];
        const made = await store.commit(slot, changes, [{ key: machineTokenNameKey(name), value: bytes }]);
        return made ? { record: before } : undefined;
      });
      return dropped.record;
    },
    async used(id, at) {
      const { bytes, record } = await stored(id);
      if (record === undefined) return;
      const change = { key: machineTokenUseKey(id), value: machineTokenUseForm.encode({ at }) };
      // What is revoked meanwhile leaves nothing behind.
      await store.commit(slot, [change], [{ key: machineTokenKey(id), value: bytes }]);
    },
  };
}
