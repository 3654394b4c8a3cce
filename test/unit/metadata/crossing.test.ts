import { beforeEach, describe, expect, test } from 'vitest';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import { digest, linkRecord, tagRecord } from '../../conformance/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata, type MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { beforeNthCommit } from '../../fakes/nth-commit.ts';

const A = 'docker.io/library/a';
const X = digest('x');

/** Where two steps lie in different slots, another process may come between any two of them. */
describe('steps that cross', () => {
  let store: MemoryMetadata;
  let records: Records;
  let others: Records;

  beforeEach(async () => {
    store = createMemoryMetadata({ async: true });
    records = createRecords(store, { clock: createFakeClock() });
    others = createRecords(store, { clock: createFakeClock() });
    await Promise.all([records.ping(), others.ping()]);
  });

  /** Runs `act` before each nth commit of `first` in turn, and checks what is left. */
  async function crossEverywhere(
    first: () => Promise<unknown>,
    act: () => Promise<unknown>,
    check: () => Promise<void>,
  ): Promise<void> {
    for (let nth = 1, reached = true; reached; nth++) {
      await records.dropTag(A, 't');
      await records.putLink(A, X, linkRecord());
      const isReached = beforeNthCommit(store, nth, act);
      await first();
      reached = isReached();
      await check();
    }
  }

  /** Whatever won: a link has its reverse entry, and a repository that holds something is listed. */
  async function mustAgree(): Promise<void> {
    const linked = (await records.link(A, X)) !== undefined;
    expect(await records.holders(X, undefined, 10)).toEqual(linked ? [A] : []);
    const holds = linked || (await records.tag(A, 't')) !== undefined;
    expect(await records.repositories(undefined, 10)).toEqual(holds ? [A] : []);
  }

  test('a link dropped while it is put', () =>
    crossEverywhere(
      () => records.putLink(A, X, linkRecord()),
      () => others.dropLink(A, X),
      mustAgree,
    ));

  test('a link put while it is dropped', () =>
    crossEverywhere(
      () => records.dropLink(A, X),
      () => others.putLink(A, X, linkRecord()),
      mustAgree,
    ));

  test('a tag put while the last link is dropped', () =>
    crossEverywhere(
      () => records.dropLink(A, X),
      () => others.putTag(A, 't', tagRecord('a')),
      mustAgree,
    ));

  test('the last link dropped while a tag is put', () =>
    crossEverywhere(
      () => records.putTag(A, 't', tagRecord('a')),
      () => others.dropLink(A, X),
      mustAgree,
    ));

  test('wherever a crash comes, no link is without its reverse entry, and no repository unlisted', async () => {
    const steps = [
      () => records.putLink(A, X, linkRecord()),
      () => records.putTag(A, 't', tagRecord('a')),
      () => records.dropTag(A, 't'),
      () => records.dropLink(A, X),
    ];
    for (const step of steps) {
      for (let nth = 1, reached = true; reached; nth++) {
        await store.flushed();
        let left = nth;
        store.beforeCommit(() => {
          if (--left <= 0) throw new Error('the power is gone');
        });
        await step().catch(() => undefined);
        store.beforeCommit(undefined);
        const wanted = (await records.link(A, X)) === undefined ? [] : [A];
        expect(await records.holders(X, undefined, 10)).toEqual(expect.arrayContaining(wanted));
        const holds = (await records.link(A, X)) !== undefined || (await records.tag(A, 't')) !== undefined;
        expect(await records.repositories(undefined, 10)).toEqual(holds ? [A] : []);
        reached = left <= 0;
        if (reached) store.crash();
      }
    }
  });
});
