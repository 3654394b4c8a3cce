import { expect, test } from 'vitest';
import { takeTurn, withTurn, type TurnDeps } from '../../../src/evict/turn.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { gate } from '../pull/house.ts';

/** A store that does what it is told; `lose` makes it lose its next answer to that. */
function createDeps(): TurnDeps & { lose(what: 'takeLease' | 'dropLease'): void } {
  const clock = createFakeClock();
  const { tasks } = createRecords(createMemoryMetadata(), { clock });
  const lost = new Set<string>();
  const losing =
    <Args extends readonly unknown[], Value>(what: string, call: (...args: Args) => Promise<Value>) =>
    async (...args: Args): Promise<Value> => {
      const value = await call(...args);
      if (lost.delete(what)) throw new Error('the answer was lost');
      return value;
    };
  const records = {
    tasks: {
      ...tasks,
      takeLease: losing('takeLease', tasks.takeLease),
      dropLease: losing('dropLease', tasks.dropLease),
    },
  };
  return { clock, records, holder: 'host 0 x', isDead: () => false, lose: (what) => void lost.add(what) };
}

const NO_PATIENCE = { everyMs: 1, tries: 1 };

test.each(['takeLease', 'dropLease'] as const)(
  'a turn of this process of which the answer to %s was lost is nobody’s: it does not last until it runs out',
  async (what) => {
    const deps = createDeps();
    deps.lose(what);
    await withTurn('evict', deps, () => Promise.resolve(), NO_PATIENCE).catch(() => undefined);
    await expect(withTurn('evict', deps, () => Promise.resolve('done'), NO_PATIENCE)).resolves.toBe('done');
  },
);

test('one that it has, or is being given, is its own', async () => {
  const deps = createDeps();
  const { tasks } = deps.records;
  const { opened, open } = gate();
  let isFirst = true;
  const slow: typeof tasks.takeLease = async (...asked) => {
    const answer = await tasks.takeLease(...asked);
    if (isFirst) {
      isFirst = false;
      await opened;
    }
    return answer;
  };
  const slowly = { ...deps, records: { tasks: { ...tasks, takeLease: slow } } };
  const first = takeTurn('evict', slowly);
  await expect(takeTurn('evict', slowly)).rejects.toThrow('another eviction is running');
  open();
  await first;
  await expect(takeTurn('evict', slowly)).rejects.toThrow('another eviction is running');
});
