/**
 * The same port, each call of it measured: for `registry_storage_action_seconds` and `entrepot_metadata_seconds`. Adds no
 * turn of the loop: a synchronous answer stays one, and a promise is passed on as it is. `now` is monotonic, ms.
 */
export function timed<T extends object>(
  port: T,
  now: () => number,
  recorderOf: (method: string) => (seconds: number) => void,
): T {
  const wrapped = new Map<PropertyKey, unknown>();
  return new Proxy(port, {
    get(target, key) {
      const known = wrapped.get(key);
      if (known !== undefined) return known;
      const found: unknown = Reflect.get(target, key, target);
      if (typeof found !== 'function') return found;
      // Bound to the port itself, since a proxy has none of a class's private fields.
      const measured = measure(found.bind(target) as Method, now, recorderOf(String(key)));
      wrapped.set(key, measured);
      return measured;
    },
  });
}

type Method = (...args: unknown[]) => unknown;

function measure(method: Method, now: () => number, record: (seconds: number) => void): Method {
  return (...args) => {
    const started = now();
    const done = (): void => record((now() - started) / 1000);
    let pending = false;
    try {
      const result = method(...args);
      pending = result instanceof Promise;
      // Both ways count; whoever called hears of the failure.
      if (result instanceof Promise) result.then(done, done);
      return result;
    } finally {
      if (!pending) done();
    }
  };
}
