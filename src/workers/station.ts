import type { Channel } from '../system/worker-processes.ts';
import { createPeer, type Answers } from './peer.ts';
import type { Siblings } from './siblings.ts';

/** What a worker is told as it starts. */
export interface Order {
  /** 1 to `count`; its successor has the same. */
  readonly worker: number;
  readonly count: number;
  /** As the primary's `order` made it. */
  readonly order: unknown;
}

/** What a worker does at the primary's word. */
export interface Obeys {
  /** Makes ready to take a configuration, changing nothing. Rejects with what is wrong with it. */
  prepare(order: unknown): Promise<void>;
  /** Takes what was made ready. Yields the keys that wait for a restart. */
  commit(): Promise<readonly string[]>;
  /** Another worker could not. */
  abandon(): void;
  drain(): void;
}

/** A worker's place among the others. */
export interface Station {
  readonly siblings: Siblings;
  /** Tells that it serves; from now on it obeys. */
  listening(addresses: Readonly<Record<string, string>>, obeys: Obeys): void;
  /** Tells why it cannot start, before it ends; resolves when that was heard. Never rejects. */
  fault(message: string): Promise<void>;
  /** Tells that it ends because somebody told it to. */
  leaving(): void;
  /** Resolves when the primary has ended. */
  readonly orphaned: Promise<void>;
}

/**
 * Asks the primary what to do, and resolves when it has said so. The primary says nothing before: Node drops what comes while nobody
 * listens.
 */
export async function takeStation(channel: Channel): Promise<{ readonly station: Station; readonly order: Order }> {
  let obeys: Obeys | undefined;
  let isOnDuty = false;
  let duties: readonly (() => void)[] = [];
  const endListeners: ((worker: number) => void)[] = [];
  const obedient = (): Obeys => {
    if (obeys === undefined) throw new Error('this worker does not serve yet');
    return obeys;
  };
  const answers: Record<string, Answers[string]> = {
    prepare: (order: unknown) => obedient().prepare(order),
    commit: () => obedient().commit(),
    abandon: () => obedient().abandon(),
    drain: () => obedient().drain(),
    ended(worker: number) {
      for (const listener of endListeners) listener(worker);
    },
    duty() {
      isOnDuty = true;
      for (const begin of duties) begin();
      duties = [];
    },
  };
  const peer = createPeer(channel, answers);
  const orphaned = new Promise<void>((end) => channel.onGone(end));
  const order = (await peer.ask('begin')) as Order;
  const siblings: Siblings = {
    count: order.count,
    worker: order.worker,
    answer: (call, act) => void (answers[call] = act),
    // Where nobody can be asked, there is nobody.
    gather: async (call, params) => (await peer.ask('gather', { call, params }).catch(() => [])) as readonly unknown[],
    tell: (call, params) => peer.tell('tell', { call, params }),
    ask: (call, params) => peer.ask(call, params),
    onDuty(begin) {
      if (isOnDuty) begin();
      else duties = [...duties, begin];
    },
    onEnd: (listener) => void endListeners.push(listener),
  };
  const station: Station = {
    siblings,
    listening(addresses, by) {
      obeys = by;
      peer.tell('listening', addresses);
    },
    fault: (message) =>
      peer.ask('fault', message).then(
        () => undefined,
        () => undefined,
      ),
    leaving: () => peer.tell('leaving'),
    orphaned,
  };
  return { station, order };
}
