import type { OpenFile } from '../../../src/system/disk.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { gate } from './house.ts';

export interface HeldDisk {
  readonly disk: MemoryDisk;
  /** From now on such calls do not end. */
  hold(...operations: readonly ('create' | 'write' | 'sync')[]): void;
  /** All that were held go on, and none is held any more. */
  goOn(): void;
}

/** A disk in memory whose calls can be held up. */
export function createHeldDisk(): HeldDisk {
  const inner = createMemoryDisk();
  let held: { readonly operations: readonly string[]; readonly until: ReturnType<typeof gate> } | undefined;
  const pass = async (operation: string): Promise<void> => {
    if (held?.operations.includes(operation) === true) await held.until.opened;
  };
  const holding = (file: OpenFile): OpenFile => ({
    ...file,
    async write(bytes, position) {
      await pass('write');
      return file.write(bytes, position);
    },
    async sync() {
      await pass('sync');
      return file.sync();
    },
  });
  const open: MemoryDisk['open'] = async (path, mode) => {
    if (mode === 'create') await pass('create');
    const file = await inner.open(path, mode);
    return file && holding(file);
  };
  return {
    disk: { ...inner, open },
    hold: (...operations) => void (held = { operations, until: gate() }),
    goOn() {
      held?.until.open();
      held = undefined;
    },
  };
}
