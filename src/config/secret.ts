/** What a secret shows of itself wherever it is printed. */
export const HIDDEN = '***';

/**
 * A password, token or key. Printing it by any of the usual ways (string, JSON, `console.log`, a template) gives
 * {@link HIDDEN}; only {@link Secret.reveal} gives the text, so that a review finds every use by that word.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself, for the one place that sends it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  /** What `util.inspect` asks; the symbol is registered, so that nothing need be imported for it. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN;
  }
}
