import { describe, expect, test } from 'vitest';

import { CredentialsUnavailable, type Credentials } from '../../../src/upstream/credentials.ts';
import { keptCredentials, type Grant } from '../../../src/upstream/credentials/kept.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';

const HOUR = 3600_000;
const isFine = (): boolean => false;

interface Kept {
  readonly clock: FakeClock;
  /** How often the source was asked. */
  asked(): number;
  /** The password that is given now, or what is thrown. */
  get(isRefused?: (credentials: Credentials) => boolean): Promise<string>;
  /** What the source does from now on. */
  source: (count: number, signal: AbortSignal) => Promise<Grant>;
  inputs: string;
}

function grant(password: string, lifetimeMs = HOUR): Grant {
  return { credentials: { kind: 'password', username: 'u', password }, lifetimeMs };
}

function kept(): Kept {
  const clock = createFakeClock();
  let count = 0;
  const house: Kept = {
    clock,
    asked: () => count,
    get: async (isRefused = isFine) => {
      const credentials = await provider('r', isRefused);
      return credentials?.kind === 'password' ? credentials.password : 'none';
    },
    source: async (nth) => grant(`p${nth}`),
    inputs: 'a',
  };
  const provider = keptCredentials({ inputs: async () => house.inputs, get: (signal) => house.source(++count, signal) }, clock);
  return house;
}

describe('credentials that cost something', () => {
  test('are fetched once however many ask', async () => {
    const house = kept();
    expect(await Promise.all(Array.from({ length: 50 }, () => house.get()))).toEqual(Array.from({ length: 50 }, () => 'p1'));
    expect(house.asked()).toBe(1);
  });

  test('are renewed before they end, while they go on serving', async () => {
    const house = kept();
    house.source = async (nth) => grant(`p${nth}`, 12 * HOUR);
    expect(await house.get()).toBe('p1');
    await house.clock.advance(8.9 * HOUR);
    expect([await house.get(), house.asked()]).toEqual(['p1', 1]);
    await house.clock.advance(0.2 * HOUR);
    expect(await house.get()).toBe('p1');
    await house.clock.advance(0);
    expect([await house.get(), house.asked()]).toEqual(['p2', 2]);
  });

  test('serve to their end while they cannot be renewed, and not after it', async () => {
    const house = kept();
    await house.get();
    house.source = () => Promise.reject(new CredentialsUnavailable('down'));
    await house.clock.advance(0.8 * HOUR);
    expect(await house.get()).toBe('p1');
    await house.clock.advance(1000);
    expect([await house.get(), house.asked()]).toEqual(['p1', 2]);
    await house.clock.advance(0.2 * HOUR);
    await expect(house.get()).rejects.toThrow('down');
  });

  test('are asked for again ten seconds after a failure, then later each time, at most every five minutes', async () => {
    const house = kept();
    house.source = () => Promise.reject(new CredentialsUnavailable('down'));
    const waits: number[] = [];
    for (let asked = 0; asked < 8; asked++) {
      await expect(house.get()).rejects.toThrow('down');
      expect(house.asked()).toBe(asked + 1);
      let seconds = 0;
      while (house.asked() === asked + 1) {
        await house.clock.advance(1000);
        seconds++;
        await expect(house.get()).rejects.toThrow('down');
      }
      waits.push(seconds);
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
  });

  test('that are refused to us are asked for again after five minutes, or at once from other inputs', async () => {
    const house = kept();
    house.source = () => Promise.reject(new CredentialsUnavailable('no', { refused: true }));
    await expect(house.get()).rejects.toMatchObject({ refused: true });
    await house.clock.advance(299_000);
    await expect(house.get()).rejects.toThrow('no');
    expect(house.asked()).toBe(1);
    house.source = async () => grant('good');
    house.inputs = 'b';
    expect([await house.get(), house.asked()]).toEqual(['good', 2]);
  });

  test('are fetched anew once the registry refused them, at most once a minute', async () => {
    const house = kept();
    house.source = async () => grant('bad');
    const isRefused = (credentials: Credentials): boolean => credentials.kind === 'password' && credentials.password === 'bad';
    await house.get(isRefused);
    expect([await house.get(isRefused), house.asked()]).toEqual(['bad', 1]);
    await house.clock.advance(60_000);
    for (let again = 0; again < 3; again++) await house.get(isRefused);
    expect(house.asked()).toBe(2);
    house.source = async () => grant('good');
    await house.clock.advance(60_000);
    expect([await house.get(isRefused), house.asked()]).toEqual(['good', 3]);
  });

  test('are not waited for longer than eight seconds, even where nothing listens to its signal', async () => {
    const house = kept();
    let given: AbortSignal | undefined;
    house.source = (_nth, signal) => {
      given = signal;
      return new Promise(() => undefined);
    };
    const waiting = house.get().catch(String);
    await house.clock.advance(8000);
    expect(await waiting).toContain('nothing within 8 s');
    expect(given?.aborted).toBe(true);
    expect(house.clock.pending()).toBe(0);
  });

  test('whose source hung once are not waited for as long again, and are there for who comes later', async () => {
    const house = kept();
    let answer: (granted: Grant) => void = () => undefined;
    house.source = () => new Promise((resolve) => (answer = resolve));
    const first = house.get().catch(String);
    await house.clock.advance(8000);
    expect(await first).toContain('nothing within 8 s');
    await house.clock.advance(10_000);
    const again = house.get().catch(String);
    await house.clock.advance(1000);
    expect([await again, house.asked()]).toEqual([expect.stringContaining('nothing within 8 s'), 2]);
    answer(grant('late'));
    await house.clock.advance(0);
    expect([await house.get(), house.asked()]).toEqual(['late', 2]);
    expect(house.clock.pending()).toBe(0);
  });

  test('whatever a source throws is told by its name alone', async () => {
    const house = kept();
    house.source = () => Promise.reject(Object.assign(new TypeError('token s3cret is bad'), { code: 'ERR_X' }));
    await expect(house.get()).rejects.toMatchObject({ name: 'CredentialsUnavailable', message: 'TypeError ERR_X' });
    const odd = kept();
    // oxlint-disable-next-line prefer-promise-reject-errors -- what a library may do
    odd.source = () => Promise.reject('s3cret');
    await expect(odd.get()).rejects.toMatchObject({ message: 'an unknown error' });
  });
});
