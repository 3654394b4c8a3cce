import { expect, test } from 'vitest';
import { timed } from '../../../src/observe/timed.ts';

class Port {
  readonly size = 7;
  #private = 'held';
  now = (): string => this.#private;
  read(): string {
    return this.#private;
  }
  slow(promise: Promise<string>): Promise<string> {
    return promise;
  }
  fail(): never {
    throw new Error('broken');
  }
}

function measuring() {
  const calls: [string, number][] = [];
  let clock = 0;
  const port = timed(
    new Port(),
    () => clock,
    (method) => (seconds) => void calls.push([method, seconds]),
  );
  return { port, calls, pass: (ms: number) => (clock += ms) };
}

test('a synchronous answer stays synchronous, private fields and all', () => {
  const { port, calls } = measuring();
  expect(port.read()).toBe('held');
  expect(port.size).toBe(7);
  expect(calls).toEqual([['read', 0]]);
  expect(port.read).toBe(port.read);
});

test('a promise is passed on as it is, and measured to its end, however it ends', async () => {
  const { port, calls, pass } = measuring();
  const promise = Promise.resolve('later');
  const returned = port.slow(promise);
  expect(returned).toBe(promise);
  pass(1500);
  await returned;
  expect(calls).toEqual([['slow', 1.5]]);
  await expect(port.slow(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(() => port.fail()).toThrow('broken');
  expect(calls.map(([method]) => method)).toEqual(['slow', 'slow', 'fail']);
});
