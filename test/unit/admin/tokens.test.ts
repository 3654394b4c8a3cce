import { describe, expect, test } from 'vitest';
import { createAdmin, type Admin } from '../../../src/admin/admin.ts';
import { isMachineTokenName } from '../../../src/auth/machine-token-text.ts';
import { createMachineTokens, type MachineTokenKeeping } from '../../../src/auth/machine-tokens.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import type { FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { house } from './house.ts';

function given(): { admin: Admin; clock: FakeClock; tokens: MachineTokenKeeping } {
  const { clock, ...options } = house();
  const records = createRecords(createMemoryMetadata({ async: true }), { clock }).machineTokens;
  const tokens = createMachineTokens({ records, clock, random: createSeededRandom(1) });
  return { admin: createAdmin({ ...options, clock, tokens: { ...tokens, isName: isMachineTokenName } }), clock, tokens };
}

describe('machine tokens', () => {
  test('are made, listed with their last use, and revoked', async () => {
    const { admin, clock, tokens } = given();
    const { token, ...made } = await admin.createToken({ name: 'ci', lifetimeMs: 3600_000 });
    expect(made).toEqual({
      name: 'ci',
      created: '1970-01-01T00:16:40.000Z',
      expires: '1970-01-01T01:16:40.000Z',
      expired: false,
    });
    expect(await tokens.verify(token)).toBeDefined();
    await clock.advance(3600_000);
    expect(await admin.tokens()).toEqual([{ ...made, lastUse: '1970-01-01T00:16:40.000Z', expired: true }]);
    await admin.createToken({ name: 'ci', lifetimeMs: undefined });
    expect(await admin.revokeToken('ci')).toMatchObject({ name: 'ci', expired: false });
    expect(await admin.tokens()).toEqual([]);
    await expect(admin.revokeToken('ci')).rejects.toThrow('there is no token ci: "entrepot token list"');
  });

  test('are not made twice, nor for no time at all', async () => {
    const { admin } = given();
    await admin.createToken({ name: 'ci', lifetimeMs: undefined });
    await expect(admin.createToken({ name: 'ci', lifetimeMs: undefined })).rejects.toThrow('there is a token ci');
    for (const lifetimeMs of [0, -1, 59_999, Number.NaN, 1e15])
      await expect(admin.createToken({ name: 'other', lifetimeMs })).rejects.toThrow('at least a minute');
  });

  test('are not named by what may be a token: it is not repeated', async () => {
    const { admin } = given();
    const { token } = await admin.createToken({ name: 'ci', lifetimeMs: undefined });
    for (const act of [() => admin.revokeToken(token), () => admin.createToken({ name: token, lifetimeMs: undefined })]) {
      const error = await act().catch((thrown: unknown) => thrown);
      expect(String(error)).toContain('a token is named by words');
      expect(String(error)).not.toContain(token);
    }
  });
});
