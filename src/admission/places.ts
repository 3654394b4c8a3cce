/** So many at once, and so many that wait for their turn; each comes in the order in which they asked. */
export class Places {
  readonly #waiting = new Set<() => void>();
  readonly #waitingMax: number;
  #free: number;

  constructor(atOnce: number, waitingMax: number) {
    this.#free = atOnce;
    this.#waitingMax = waitingMax;
  }

  /** What gives the place back; `undefined` where too many wait already. Rejects with the signal's reason. */
  async take(signal: AbortSignal): Promise<(() => void) | undefined> {
    if (this.#free > 0) this.#free -= 1;
    else if (this.#waiting.size >= this.#waitingMax) return undefined;
    else await this.#turn(signal);
    return () => this.#leave();
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = (): void => {
        signal.removeEventListener('abort', onEnd);
        resolve();
      };
      const onEnd = (): void => {
        this.#waiting.delete(onTurn);
        reject(signal.reason as Error);
      };
      if (signal.aborted) return onEnd();
      this.#waiting.add(onTurn);
      signal.addEventListener('abort', onEnd, { once: true });
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
