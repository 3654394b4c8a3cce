import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { MetadataStore } from '../../src/metadata/metadata-store.ts';
import { makeLmdb, makeMemory, makeRedis } from '../conformance/metadata-makers.ts';
import { text, type StoreUnderTest } from '../conformance/metadata-store.ts';
import { redisMissing, startRedis, type RedisServer } from '../fakes/redis-server.ts';

const COLLECTIONS = ['tags', 'links', 'blob'] as const;

/** Few of each, so that commits meet; among them what separators and hash tags could trip over. */
const slots = fc.constantFrom('a', 'a}', '{a', 'a%7D', 'ab');
const ids = fc.oneof(
  fc.constantFrom('a', 'b', 'a:b', '~', 'é', '\u{1f600}', '\uffee', '(', '[', '-', '+', '\u0001'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }).filter((id) => !id.includes('\0')),
);
const keys = fc.tuple(fc.constantFrom(...COLLECTIONS), ids);
const values = fc.option(fc.constantFrom('', '0', '1', 'long'.repeat(100)), { nil: undefined });
const puts = fc.array(fc.record({ key: keys, value: values }), { maxLength: 4 });
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const), slot: slots, changes: puts, conditions: puts }) },
    // Conditions made from what is there, or nearly all would fail.
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('true commit' as const),
        slot: slots,
        changes: puts,
        about: fc.array(keys, { maxLength: 3 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('list' as const),
        slot: slots,
        collection: fc.constantFrom('tags', 'links'),
        after: fc.option(ids, { nil: undefined }),
        limit: fc.integer({ min: 1, max: 5 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('get' as const), slot: slots, key: keys }) },
  ),
  { maxLength: 25 },
);
type Step = (typeof steps extends fc.Arbitrary<infer T> ? T : never)[number];
type Put = { readonly key: readonly [string, string]; readonly value: string | undefined };
type Model = Map<string, Map<string, string>>;

const encode = (value: string | undefined): Buffer | undefined => (value === undefined ? undefined : Buffer.from(value));
const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

interface Answers {
  readonly store: unknown;
  readonly model: unknown;
}

/** Does the step on both, and yields what each answered. */
async function doBoth(store: MetadataStore, model: Model, step: Step): Promise<Answers> {
  const of = (collection: string): Map<string, string> => {
    const name = `${step.slot}\0${collection}`;
    const found = model.get(name) ?? new Map<string, string>();
    model.set(name, found);
    return found;
  };
  if (step.kind === 'get') {
    return { store: text(await store.get(step.slot, step.key)), model: of(step.key[0]).get(step.key[1]) };
  }
  if (step.kind === 'list') {
    const found = await store.list(step.slot, step.collection, step.after, step.limit);
    const wanted = Array.from(of(step.collection))
      .filter(([id]) => step.after === undefined || order(id, step.after) > 0)
      .sort(([a], [b]) => order(a, b));
    return { store: found.map(({ id, value }) => [id, text(value)]), model: wanted.slice(0, step.limit) };
  }
  const conditions =
    step.kind === 'commit' ? step.conditions : step.about.map((key) => ({ key, value: of(key[0]).get(key[1]) }));
  const holds = conditions.every(({ key, value }) => of(key[0]).get(key[1]) === value);
  const toStore = ({ key, value }: Put): { key: Put['key']; value: Buffer | undefined } => ({ key, value: encode(value) });
  const made = await store.commit(step.slot, step.changes.map(toStore), conditions.map(toStore));
  for (const { key, value } of holds ? step.changes : []) {
    if (value === undefined) of(key[0]).delete(key[1]);
    else of(key[0]).set(key[1], value);
  }
  return { store: made, model: holds };
}

function holdToModel(name: string, make: () => Promise<StoreUnderTest>, runs: number): void {
  test(`${name} answers any sequence of commits, lists and gets as a map does`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const under = await make();
        try {
          const model: Model = new Map();
          for (const step of sequence) {
            const answers = await doBoth(under.store, model, step);
            expect(answers.store).toEqual(answers.model);
          }
        } finally {
          await under.clean();
        }
      }),
      { numRuns: runs },
    );
  }, 60_000);
}

holdToModel('memory', () => makeMemory(false), 200);
holdToModel('lmdb', makeLmdb, 100);

describe.skipIf(redisMissing !== undefined)(`real Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.clean());

  holdToModel('redis', () => makeRedis(server), 100);
});
