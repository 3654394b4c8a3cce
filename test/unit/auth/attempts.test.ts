import { beforeEach, describe, expect, test } from 'vitest';
import { createAttempts, REMEMBERED_MAX, type Attempts, type Outcome } from '../../../src/auth/attempts.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';

let clock: FakeClock;
let attempts: Attempts;

beforeEach(() => {
  clock = createFakeClock();
  attempts = createAttempts(clock, { heldMs: 0 });
});

/** Seconds until it may be tried again; 0: it was heard, and ended so. */
async function attempt(user: string, client: string, outcome: Outcome = 'wrong'): Promise<number> {
  try {
    (await attempts.begin(user, client)).end(outcome);
    return 0;
  } catch (error) {
    if (!(error instanceof RegistryError) || error.status !== 429) throw error;
    return Number(error.headers['Retry-After']);
  }
}

const address = (number: number): string => `10.0.${number >> 8}.${number & 255}`;

describe('somebody who was wrong', () => {
  test('waits a second, and twice as long each time, up to a minute', async () => {
    const waits: number[] = [];
    for (let at = 0; at < 9; at += 1) {
      expect(await attempt('ann', 'here')).toBe(0);
      const wait = await attempt('ann', 'here');
      waits.push(wait);
      await clock.advance(wait * 1000 - 1);
      expect(await attempt('ann', 'here'), 'a millisecond too soon').toBe(1);
      await clock.advance(1);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test('and then right begins anew', async () => {
    for (let at = 0; at < 5; at += 1) {
      await attempt('ann', 'here');
      await clock.advance(60_000);
    }
    expect(await attempt('ann', 'here', 'right')).toBe(0);
    expect(await attempt('ann', 'here')).toBe(0);
    expect(await attempt('ann', 'here')).toBe(1);
  });

  test('long ago begins anew', async () => {
    for (let at = 0; at < 5; at += 1) {
      await attempt('ann', 'here');
      await clock.advance(60_000);
    }
    await clock.advance(600_000);
    await attempt('ann', 'here');
    expect(await attempt('ann', 'here')).toBe(1);
  });

  test('holds up neither the same user elsewhere nor others at the same address', async () => {
    await attempt('ann', 'here');
    expect(await attempt('ann', 'here')).toBe(1);
    expect(await attempt('ann', 'there')).toBe(0);
    expect(await attempt('bob', 'here')).toBe(0);
  });

  test('is told so, in words that clients print', async () => {
    await attempt('ann', 'here');
    await expect(attempts.begin('ann', 'here')).rejects.toMatchObject({
      code: 'TOOMANYREQUESTS',
      status: 429,
      message: 'too many wrong sign-ins: try again in 1 s',
      headers: { 'Retry-After': '1' },
    });
  });

  test('changes nothing where it could not be found out', async () => {
    for (let at = 0; at < 200; at += 1) expect(await attempt('ann', 'here', 'unknown')).toBe(0);
  });
});

describe('who mistyped', () => {
  beforeEach(() => {
    attempts = createAttempts(clock);
  });

  /** Whether it was heard by now. */
  async function begin(user: string, client: string, outcome: Outcome): Promise<{ heard?: boolean }> {
    const seen: { heard?: boolean } = {};
    void attempts.begin(user, client).then(
      (one) => {
        one.end(outcome);
        seen.heard = true;
      },
      () => (seen.heard = false),
    );
    await clock.advance(0);
    return seen;
  }

  test('and tries again at once is heard when the pause is over, and not refused', async () => {
    await begin('ann', 'here', 'wrong');
    const again = await begin('ann', 'here', 'right');
    await clock.advance(999);
    expect(again).toEqual({});
    await clock.advance(1);
    expect(again).toEqual({ heard: true });
    expect(await begin('ann', 'here', 'right')).toEqual({ heard: true });
  });

  test('twice waits two seconds, and then is told to', async () => {
    for (const pauseMs of [1000, 2000]) {
      await begin('ann', 'here', 'wrong');
      await clock.advance(pauseMs);
    }
    await begin('ann', 'here', 'wrong');
    expect(await begin('ann', 'here', 'right')).toEqual({ heard: false });
  });

  test('has one attempt that waits: others at the same time are refused', async () => {
    await begin('ann', 'here', 'wrong');
    const seen = [
      await begin('ann', 'here', 'wrong'),
      await begin('ann', 'here', 'wrong'),
      await begin('ann', 'here', 'wrong'),
    ];
    expect(seen).toEqual([{}, { heard: false }, { heard: false }]);
  });

  test('is refused at once while somebody guesses for that user', async () => {
    for (let at = 0; at < 5; at += 1) await begin('ann', address(at), 'wrong');
    expect(await begin('ann', address(0), 'right')).toEqual({ heard: false });
    expect(await begin('bob', address(0), 'wrong')).toEqual({ heard: true });
    expect(await begin('bob', address(0), 'wrong')).toEqual({});
  });

  test('[S40] of a thousand wrong ones from fifty addresses in one moment fifty are heard, and four more in time', async () => {
    const seen: { heard?: boolean }[] = [];
    for (let at = 0; at < 1000; at += 1) seen.push(await begin('ann', address(Math.floor(at / 20)), 'wrong'));
    const heard = () => seen.filter((one) => one.heard === true).length;
    expect(heard()).toBe(50);
    await clock.advance(10_000);
    expect(heard()).toBeLessThanOrEqual(54);
    expect(await begin('ann', '203.0.113.9', 'right')).toEqual({ heard: true });
  });
});

describe('[S40] a thousand wrong passwords', () => {
  test('from fifty addresses: at most fifty are heard, and the owner from a new one is too', async () => {
    let heard = 0;
    for (let at = 0; at < 1000; at += 1) heard += (await attempt('ann', address(at % 50))) === 0 ? 1 : 0;
    expect(heard).toBe(50);
    expect(await attempt('ann', '203.0.113.9', 'right')).toBe(0);
  });

  test('one address after the other, or all at once: no more', async () => {
    let heard = 0;
    for (let at = 0; at < 1000; at += 1) heard += (await attempt('ann', address(Math.floor(at / 20)))) === 0 ? 1 : 0;
    expect(heard).toBe(50);
  });

  test('from a thousand addresses: a hundred, then one each six seconds; who was right from theirs before is heard at once', async () => {
    await attempt('ann', '203.0.113.9', 'right');
    let heard = 0;
    for (let at = 0; at < 1000; at += 1) heard += (await attempt('ann', address(at))) === 0 ? 1 : 0;
    expect(heard).toBe(100);
    expect(await attempt('ann', '203.0.113.9', 'right')).toBe(0);
    expect(await attempt('ann', '203.0.113.10', 'right')).toBe(6);
    expect(await attempt('bob', '203.0.113.10', 'right')).toBe(0);
    await clock.advance(6000);
    expect(await attempt('ann', '203.0.113.10', 'right')).toBe(0);
  });

  test('for a thousand users from one address: thirty, then one each two seconds; who was right from there is heard at once', async () => {
    await attempt('ann', 'here', 'right');
    let heard = 0;
    for (let at = 0; at < 1000; at += 1) heard += (await attempt(`user-${at}`, 'here')) === 0 ? 1 : 0;
    expect(heard).toBe(30);
    expect(await attempt('ann', 'here', 'right')).toBe(0);
    expect(await attempt('bob', 'here', 'right')).toBe(2);
    await clock.advance(2000);
    expect(await attempt('bob', 'here', 'right')).toBe(0);
  });

  test('from the addresses of one customer of IPv6: as from one', async () => {
    let heard = 0;
    for (let at = 0; at < 1000; at += 1) heard += (await attempt('ann', `2001:db8:1:2::${at.toString(16)}`)) === 0 ? 1 : 0;
    expect(heard).toBe(1);
    expect(await attempt('ann', '2001:db8:1:3::1')).toBe(0);
  });
});

test('ten thousand wrong sign-ins within a minute, each for another user: sixty are heard', async () => {
  let heard = 0;
  for (let at = 0; at < 10_000; at += 1) {
    heard += (await attempt(`user-${at}`, 'here')) === 0 ? 1 : 0;
    await clock.advance(6);
  }
  expect(heard).toBeLessThanOrEqual(60);
});

describe('several at once', () => {
  test('of one user and address are heard one after the other: the second knows that the first was wrong', async () => {
    const first = await attempts.begin('ann', 'here');
    const others = [attempt('ann', 'here'), attempt('ann', 'here')];
    await clock.advance(0);
    first.end('wrong');
    expect(await Promise.all(others)).toEqual([1, 1]);
  });

  test('go on one by one when the first was right', async () => {
    const first = await attempts.begin('ann', 'here');
    const others = [attempt('ann', 'here'), attempt('ann', 'here')];
    await clock.advance(0);
    first.end('right');
    expect(await Promise.all(others)).toEqual([0, 1]);
  });

  test('begun in the same moment are not heard both', async () => {
    const both = [attempts.begin('ann', 'here'), attempts.begin('ann', 'here')];
    let begun = 0;
    for (const one of both) void one.then(() => (begun += 1)).catch(() => undefined);
    await clock.advance(0);
    expect(begun).toBe(1);
    (await both[0])?.end('wrong');
    await expect(both[1]).rejects.toMatchObject({ status: 429 });
  });

  test('wait, but no more than 32', async () => {
    const first = await attempts.begin('ann', 'here');
    const others = Array.from({ length: 40 }, () => attempt('ann', 'here', 'right'));
    await clock.advance(0);
    first.end('right');
    expect((await Promise.all(others)).filter((wait) => wait > 0)).toHaveLength(8);
  });
});

test('no more is remembered than a bound, and what was wrong last stays longest', async () => {
  for (let at = 0; at <= REMEMBERED_MAX; at += 1) (await attempts.begin(`user-${at}`, address(at))).end('wrong');
  expect(await attempt('user-0', address(0))).toBe(0);
  expect(await attempt(`user-${REMEMBERED_MAX}`, address(REMEMBERED_MAX))).toBe(1);
});
