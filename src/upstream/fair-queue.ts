/**
 * Those who wait, lane by lane in turn: however many wait in one lane, a newcomer in another waits for one of each lane at
 * most. Within a lane they go in the order they came.
 */
export class FairQueue<T> {
  /** In the order of their turns; none is empty. */
  readonly #lanes = new Map<string, Set<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(lane: string, item: T): void {
    const items = this.#lanes.get(lane) ?? new Set();
    items.add(item);
    this.#lanes.set(lane, items);
    this.#size++;
  }

  remove(lane: string, item: T): void {
    const items = this.#lanes.get(lane);
    if (items?.delete(item) !== true) return;
    this.#size--;
    if (items.size === 0) this.#lanes.delete(lane);
  }

  /** Takes whose turn it is; its lane then comes last. */
  next(): T | undefined {
    for (const [lane, items] of this.#lanes) {
      for (const item of items) {
        this.remove(lane, item);
        this.#lanes.delete(lane);
        if (items.size > 0) this.#lanes.set(lane, items);
        return item;
      }
    }
    return undefined;
  }

  /** How many go before somebody who comes to this lane now, at most. */
  ahead(lane: string): number {
    const own = this.#lanes.get(lane)?.size ?? 0;
    let others = 0;
    for (const [name, items] of this.#lanes) if (name !== lane) others += Math.min(items.size, own + 1);
    return own + others;
  }
}
