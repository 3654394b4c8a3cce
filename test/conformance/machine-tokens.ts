import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { machineTokenForm, machineTokenNameForm } from '../../src/metadata/forms.ts';
import { machineTokenKey, machineTokenNameKey, MACHINE_TOKENS_SLOT } from '../../src/metadata/keys.ts';
import { MACHINE_TOKENS_MAX } from '../../src/metadata/records-machine-tokens.ts';
import { createRecords, type MachineTokenRecord, type Records } from '../../src/metadata/records.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import type { StoreUnderTest } from './metadata-store.ts';

const token = (name: string, id = `id-${name}`, created = 1000): MachineTokenRecord => ({
  id,
  name,
  hash: 'a'.repeat(64),
  created,
});

/** What the records of machine tokens must do over every store. */
export function machineTokensConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`machine tokens over ${name}`, () => {
    let under: StoreUnderTest;
    let tokens: Records['machineTokens'];
    let others: Records['machineTokens'];

    beforeEach(async () => {
      under = await make();
      const clock = createFakeClock(1000);
      tokens = createRecords(under.store, { clock }).machineTokens;
      others = createRecords(under.other, { clock }).machineTokens;
    });
    afterEach(() => under.clean());

    test('are found by id and dropped by name, by every process', async () => {
      const record = { ...token('ci'), expires: 5000 };
      expect(await tokens.create(record)).toBe('created');
      expect(await others.get('id-ci')).toEqual(record);
      expect(await others.get('ci')).toBeUndefined();
      expect(await others.drop('ci')).toEqual(record);
      expect(await tokens.get('id-ci')).toBeUndefined();
      expect(await tokens.drop('ci')).toBeUndefined();
      expect(await tokens.all()).toEqual([]);
    });

    test('have their names alone: of two that are made at once one is', async () => {
      const outcomes = await Promise.all([tokens.create(token('ci', 'one')), others.create(token('ci', 'two'))]);
      expect(outcomes.toSorted()).toEqual(['created', 'taken']);
      const [only, ...rest] = await tokens.all();
      expect(rest).toEqual([]);
      expect(only?.record.id).toBe(outcomes[0] === 'created' ? 'one' : 'two');
    });

    test('give way once they have expired, with all that was noted of them', async () => {
      await tokens.create({ ...token('ci', 'one'), expires: 5000 });
      await tokens.used('one', 3000);
      expect(await others.create(token('ci', 'two', 4999))).toBe('taken');
      expect(await others.create(token('ci', 'two', 5000))).toBe('created');
      expect(await tokens.get('one')).toBeUndefined();
      expect(await tokens.all()).toEqual([{ record: token('ci', 'two', 5000), used: undefined }]);
    });

    test('are listed with their last use, which one that is gone has not', async () => {
      await tokens.create(token('a'));
      await tokens.create(token('b'));
      await others.used('id-b', 2000);
      await others.used('id-b', 3000);
      await others.used('nobody', 3000);
      expect(new Set(await tokens.all())).toEqual(
        new Set([
          { record: token('a'), used: undefined },
          { record: token('b'), used: 3000 },
        ]),
      );
      await tokens.drop('b');
      await others.used('id-b', 4000);
      await tokens.create(token('b'));
      expect((await tokens.all()).map(({ used }) => used)).toEqual([undefined, undefined]);
    });

    test('are no more than can be listed at once', async () => {
      const all = Array.from({ length: MACHINE_TOKENS_MAX }, (_, at) => token(`ci-${at}`));
      const changes = all.flatMap((one) => [
        { key: machineTokenKey(one.id), value: machineTokenForm.encode(one) },
        { key: machineTokenNameKey(one.name), value: machineTokenNameForm.encode(one) },
      ]);
      await tokens.get('id-ci-0');
      await under.store.commit(MACHINE_TOKENS_SLOT, changes);
      expect(await tokens.create(token('one-more'))).toBe('full');
      expect(await tokens.create(token('ci-7'))).toBe('taken');
      await tokens.drop('ci-7');
      expect(await tokens.create(token('one-more'))).toBe('created');
    });

    test('of which one cannot be read are the others still', async () => {
      await tokens.create(token('a'));
      await tokens.create(token('b'));
      const broken = { ...token('a'), hash: 'short' };
      await under.store.commit(MACHINE_TOKENS_SLOT, [
        { key: machineTokenKey('id-a'), value: Buffer.from(JSON.stringify(broken)) },
      ]);
      expect(await tokens.get('id-a')).toBeUndefined();
      expect((await tokens.all()).map(({ record }) => record.name)).toEqual(['b']);
      expect(await tokens.create(token('a', 'anew'))).toBe('created');
    });
  });
}
