import type { Check } from './check.ts';

/** Calls of disk and metadata that a start may make, and for each part that it finds. */
const START_CALLS = 60;
const PART_CALLS = 4;

/** A start does not scan the disk. */
export const flatCost: Check = {
  of: 'promise 10',
  async onStart({ startCalls, machine }) {
    const parts = (await machine.disk.list('/data/entrepot/parts')).length;
    const most = START_CALLS + PART_CALLS * parts;
    return startCalls > most ? `its start made ${startCalls} calls, with ${parts} parts` : undefined;
  },
};
