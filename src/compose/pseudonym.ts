import type { Records } from '../metadata/records.ts';
import { isPseudonym, pseudonymOf, type Pseudonym } from '../oci/via.ts';
import { randomId, type Random } from '../system/random.ts';

/** No upstream has this name. */
const HOUSE = '';
const KEY = 'pseudonym';
/** As late as a date can be (ECMA-262, "Time Values and Time Range"). */
const FOREVER = 8.64e15;

/**
 * As which this mirror signs what it asks of others: one name for all its processes, since a circle may come back to another
 * than it set out from. Where the metadata cannot be asked it is this process's own, and a circle is found a round later.
 */
export async function mirrorPseudonym(records: Records, random: Random): Promise<Pseudonym> {
  const fresh = pseudonymOf(randomId(random));
  try {
    const known = await recall(records);
    if (known !== undefined) return known;
    await records.remember(HOUSE, KEY, { value: fresh, until: FOREVER });
    // Of several that start at once the last to write gives all of them its name.
    return (await recall(records)) ?? fresh;
  } catch {
    return fresh;
  }
}

async function recall(records: Records): Promise<Pseudonym | undefined> {
  const known = await records.remembered(HOUSE, KEY);
  return known !== undefined && isPseudonym(known.value) ? known.value : undefined;
}
