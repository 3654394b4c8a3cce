import type { OpenFile } from '../../../src/system/disk.ts';
import { lengthOf } from '../../../src/system/disk.ts';
import { createMemoryDisk, type MemoryDisk } from '../../fakes/memory-disk.ts';
import { gate } from './house.ts';

export interface HeldDisk {
  readonly disk: MemoryDisk;
  /** Writes to parts that were asked for, in order: how many bytes, and in how many pieces. */
  readonly writes: readonly { readonly bytes: number; readonly pieces: number }[];
  /** From now on such calls do not end. */
  hold(...operations: readonly ('write' | 'sync')[]): void;
  /** All that were held go on, and none is held any more. */
  goOn(): void;
}

/** A disk in memory whose calls can be held up. */
export function createHeldDisk(): HeldDisk {
  const inner = createMemoryDisk();
  const writes: { bytes: number; pieces: number }[] = [];
  let held: { readonly operations: readonly string[]; readonly until: ReturnType<typeof gate> } | undefined;
  const pass = async (operation: string): Promise<void> => {
    if (held?.operations.includes(operation) === true) await held.until.opened;
  };
  const holding = (path: string, file: OpenFile): OpenFile => ({
    ...file,
    async write(bytes, position) {
      if (path.includes('/parts/')) writes.push({ bytes: lengthOf(bytes), pieces: [bytes].flat().length });
      await pass('write');
      return file.write(bytes, position);
    },
    async sync() {
      await pass('sync');
      return file.sync();
    },
  });
  const open: MemoryDisk['open'] = async (path, mode) => {
    const file = await inner.open(path, mode);
    return file && holding(path, file);
  };
  return {
    disk: { ...inner, open },
    writes,
    hold: (...operations) => void (held = { operations, until: gate() }),
    goOn() {
      held?.until.open();
      held = undefined;
    },
  };
}
