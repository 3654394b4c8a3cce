/** A Map of at most so many, that forgets what was put there longest ago. */
export interface Recent<T> {
  get(key: string): T | undefined;
  /** As the newest, whether or not it was there. */
  put(key: string, value: T): void;
  delete(key: string): void;
  /** From the oldest on. */
  [Symbol.iterator](): Iterator<[string, T]>;
}

export function createRecent<T>(max: number): Recent<T> {
  const all = new Map<string, T>();
  return {
    get: (key) => all.get(key),
    put(key, value) {
      all.delete(key);
      all.set(key, value);
      const [oldest] = all.keys();
      if (all.size > max && oldest !== undefined) all.delete(oldest);
    },
    delete: (key) => void all.delete(key),
    [Symbol.iterator]: () => all.entries(),
  };
}
