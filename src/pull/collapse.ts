/**
 * Joins those who ask the same question at the same time: the first runs it, the others get its answer. The run belongs to
 * nobody: a caller that leaves does not end it.
 */
export class Collapse<T> {
  readonly #running = new Map<string, Promise<T>>();

  /** `joined` is true for those who found the question already being asked. */
  async ask(key: string, run: () => Promise<T>): Promise<{ readonly value: T; readonly joined: boolean }> {
    const running = this.#running.get(key);
    if (running !== undefined) return { value: await running, joined: true };
    const started = run().finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return { value: await started, joined: false };
  }
}
