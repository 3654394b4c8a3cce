/** The other workers of this server, as one of them sees them. */
export interface Siblings {
  /** Of all, itself included; 1 where it is the only process. */
  readonly count: number;
  /** Which of them this one is: 1 to `count`. Its successor is the same. */
  readonly worker: number;
  /** Answers to others' {@link gather}, and to their {@link tell}. */
  answer(call: string, act: (params: never) => unknown): void;
  /** Asks all others at once; who does not answer within a few seconds, or has ended, is left out. */
  gather(call: string, params?: unknown): Promise<readonly unknown[]>;
  /** As {@link gather}, wanting no answer. */
  tell(call: string, params?: unknown): void;
  /** Asks the primary for something that all workers share. Rejects with what it threw, and where it has ended. */
  ask(call: string, params?: unknown): Promise<unknown>;
  /** Called once, when this process is to do what one process does for all: at once where it is alone. */
  onDuty(begin: () => void): void;
  /** Called for each other one that has ended: what it had begun is nobody's. */
  onEnd(listener: (worker: number) => void): void;
}

/** Where one process serves. */
export const ALONE: Siblings = {
  count: 1,
  worker: 1,
  answer: () => undefined,
  gather: () => Promise.resolve([]),
  tell: () => undefined,
  ask: (call) => Promise.reject(new Error(`there is no primary to ask for "${call}"`)),
  onDuty: (begin) => begin(),
  onEnd: () => undefined,
};
