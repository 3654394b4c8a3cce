import { describe, expect, test } from 'vitest';
import { costOf, hashBcrypt, isTellable, verifyBcrypt } from '../../../src/auth/bcrypt.ts';
import { createHashing } from '../../../src/auth/hashing.ts';
import { createPasswordCheck, decoyHash } from '../../../src/auth/password-check.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { systemRandom } from '../../../src/system/random.ts';

describe('bcrypt', () => {
  test('verifies what Apache, OpenBSD and libraries write', async () => {
    // htpasswd -nbB -C 5 ann 'correct horse'
    const apache = await hashBcrypt('correct horse', 5);
    expect(apache).toMatch(/^\$2y\$05\$/);
    for (const kind of ['2a', '2b', '2y']) {
      const stored = apache.replace('2y', kind);
      expect(costOf(stored)).toBe(5);
      expect(await verifyBcrypt('correct horse', stored)).toBe(true);
      expect(await verifyBcrypt('correct horsf', stored)).toBe(false);
    }
  });

  test('[S33] cannot tell passwords that are long or have a NUL, which is why we do', async () => {
    const stored = await hashBcrypt(`${'a'.repeat(72)}X`, 4);
    expect(await verifyBcrypt(`${'a'.repeat(72)}Y`, stored)).toBe(true);
    expect(await verifyBcrypt('a\0a', await hashBcrypt('a', 4))).toBe(true);
    expect(isTellable('a'.repeat(72))).toBe(true);
    expect(isTellable('a'.repeat(73))).toBe(false);
    expect(isTellable('é'.repeat(36))).toBe(true);
    expect(isTellable(`${'é'.repeat(36)}a`)).toBe(false);
    expect(isTellable('a\0a')).toBe(false);
  });

  test('[S32] works through a decoy as through a hash that somebody has', async () => {
    const took = async (stored: string): Promise<number> => {
      const began = process.hrtime.bigint();
      for (let at = 0; at < 8; at += 1) expect(await verifyBcrypt('guess', stored)).toBe(false);
      return Number(process.hrtime.bigint() - began);
    };
    const decoys = Array.from({ length: 20 }, () => decoyHash(systemRandom, 6));
    for (const decoy of decoys) expect(costOf(decoy)).toBe(6);
    // One that does not parse takes no time at all: a tenth would show it on the busiest machine.
    const real = await took(await hashBcrypt('somebody', 6));
    for (const decoy of decoys) expect(await took(decoy)).toBeGreaterThan(real / 10);
  });
});

test('[S33] a password of 72 letters and another one is not one that differs behind them', async () => {
  const check = createPasswordCheck(createHashing({ clock: systemClock }));
  const of = async (password: string, stored: string) =>
    check(password, { known: true, hash: await hashBcrypt(stored, 4), costMax: 5 }, password);
  expect(await of(`${'a'.repeat(72)}Y`, `${'a'.repeat(72)}X`)).toBe(false);
  expect(await of(`${'a'.repeat(72)}X`, `${'a'.repeat(72)}X`)).toBe(false);
  expect(await of('a'.repeat(72), 'a'.repeat(72))).toBe(true);
});
