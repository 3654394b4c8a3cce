import type { Siblings } from '../workers/siblings.ts';
import type { Trouble } from './condition.ts';

/** What does not work at other workers, as they last told: a probe that reaches this one hears of it too. */
export interface Troubles {
  elsewhere(): readonly Trouble[];
  /** Tells the others what does not work here. */
  tell(own: readonly Trouble[]): void;
}

interface Told {
  readonly worker: number;
  readonly troubles: readonly Trouble[];
}

export function createTroubles(siblings: Siblings): Troubles {
  const elsewhere = new Map<number, readonly Trouble[]>();
  const hear = ({ worker, troubles }: Told): void => void elsewhere.set(worker, troubles);
  let own: readonly Trouble[] = [];
  const told = (): Told => ({ worker: siblings.worker, troubles: own });
  siblings.answer('troubles', hear);
  siblings.answer('your troubles', told);
  siblings.onEnd((worker) => elsewhere.delete(worker));
  // Of those that began before this one.
  void siblings.gather('your troubles').then((all) => (all as readonly Told[]).forEach(hear));
  return {
    elsewhere: () => [...elsewhere.values()].flat(),
    tell(troubles) {
      own = troubles;
      siblings.tell('troubles', told());
    },
  };
}
