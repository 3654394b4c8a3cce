/** What one thing may be now: `undefined` is "not there". */
export type Value = string | undefined;

/**
 * A register of which only some writings were acknowledged: every value that it may have. Writings that overlap may take
 * effect in any order; one that was not acknowledged may have taken effect or not, until a later one was that overlapped none.
 */
export class Register {
  #may: Set<Value>;
  /** When it last could be this, of what it cannot be any more. */
  readonly #until = new Map<Value, number>();
  readonly #now: () => number;
  readonly #open = new Set<Writing>();
  /** Grows with every change of what it may be. */
  version = 0;

  /** `now`: monotonic milliseconds. */
  constructor(initial: Value, now: () => number) {
    this.#now = now;
    this.#may = new Set([initial]);
  }

  get values(): ReadonlySet<Value> {
    return this.#may;
  }

  /** It can be only this. */
  is(value: Value): boolean {
    return this.#may.size === 1 && this.#may.has(value);
  }

  mayBe(value: Value): boolean {
    return this.#may.has(value);
  }

  /** At some instant since then. */
  mightBe(value: Value, since: number): boolean {
    return this.#may.has(value) || (this.#until.get(value) ?? -Infinity) >= since;
  }

  /** Something else may have written this. */
  maybe(value: Value): void {
    this.version += 1;
    this.#may.add(value);
  }

  write(value: Value): Writing {
    const writing: Writing = {
      overlapped: this.#open.size > 0,
      end: (isAcknowledged) => {
        if (!this.#open.delete(writing)) return;
        this.version += 1;
        if (!isAcknowledged || writing.overlapped) return;
        for (const past of this.#may) this.#until.set(past, this.#now());
        this.#may = new Set([value]);
      },
    };
    for (const other of this.#open) other.overlapped = true;
    this.#open.add(writing);
    this.version += 1;
    this.#may.add(value);
    return writing;
  }

  /** Whoever wrote has died: nothing comes of it any more that has not come yet. */
  died(): void {
    this.#open.clear();
  }
}

export interface Writing {
  overlapped: boolean;
  /** Once. */
  end(isAcknowledged: boolean): void;
}
