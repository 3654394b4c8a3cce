import { listenForStrays } from './checks/no-strays.ts';
import { drawHistory } from './history.ts';
import { play } from './play.ts';

/** What a worker is told to play, and what it tells of it. */
export interface Order {
  readonly seed: number;
}

export interface Told {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly ms: number;
}

if (process.send !== undefined) {
  listenForStrays();
  process.on('message', (order: Order) => void work(order));
}

async function work({ seed }: Order): Promise<void> {
  const started = performance.now();
  const { faults } = await play(drawHistory(seed)).catch((error: unknown) => ({ faults: [`[simulator] ${String(error)}`] }));
  process.send?.({ seed, faults, ms: performance.now() - started } satisfies Told);
}
