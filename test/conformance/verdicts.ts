import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ADMISSION_SLOTS, admissionSlot, verdictKey } from '../../src/metadata/keys.ts';
import { createRecords, type LetInRecord, type Records, type VerdictRecord } from '../../src/metadata/records.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import type { StoreUnderTest } from './metadata-store.ts';
import { digest } from './records.ts';

const APP = 'docker.io/corp/app';
const OTHER = 'docker.io/corp/other';
const [IMAGE, SECOND, LAYER] = [digest('1'), digest('2'), digest('3')];

const verdict = (more: Partial<VerdictRecord> = {}): VerdictRecord => ({
  judge: 'admit',
  fingerprint: 'f',
  repository: APP,
  digest: IMAGE,
  admitted: true,
  reason: 'nothing was found',
  at: 1000,
  used: 1000,
  ...more,
});
const letIn = (by: VerdictRecord['digest'], more: Partial<LetInRecord> = {}): LetInRecord => ({ by, at: 1000, ...more });

/** What the records of verdicts must do over every store. */
export function verdictsConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`verdicts over ${name}`, () => {
    let under: StoreUnderTest;
    let verdicts: Records['verdicts'];
    let others: Records['verdicts'];

    beforeEach(async () => {
      under = await make();
      const clock = createFakeClock(1000);
      verdicts = createRecords(under.store, { clock }).verdicts;
      others = createRecords(under.other, { clock }).verdicts;
    });
    afterEach(() => under.clean());

    test('are found by scope, repository and digest, by every process, and dropped once', async () => {
      await verdicts.put('s', verdict());
      expect(await others.get('s', APP, IMAGE)).toEqual(verdict());
      await others.put('s', verdict({ admitted: false, reason: 'no' }));
      expect(await verdicts.get('s', APP, IMAGE)).toEqual(verdict({ admitted: false, reason: 'no' }));
      for (const [scope, repository, of] of [
        ['t', APP, IMAGE],
        ['s', OTHER, IMAGE],
        ['s', APP, SECOND],
      ] as const)
        expect(await verdicts.get(scope, repository, of)).toBeUndefined();
      expect(await verdicts.drop('s', APP, IMAGE)).toBe(true);
      expect(await others.drop('s', APP, IMAGE)).toBe(false);
      expect(await others.get('s', APP, IMAGE)).toBeUndefined();
    });

    test('what is let in is told by whom, and shut out by each alone', async () => {
      const entries = [LAYER, IMAGE].map((of) => ({ digest: of, record: letIn(IMAGE) }));
      await verdicts.putLetIn('s', APP, entries);
      await verdicts.putLetIn('s', APP, [{ digest: LAYER, record: letIn(SECOND, { until: 5000 }) }]);
      const by = async (): Promise<unknown> => (await others.letIn('s', APP, LAYER)).map((record) => record.by).toSorted();
      expect(await by()).toEqual([IMAGE, SECOND].toSorted());
      expect(await others.letInBy('s', APP, LAYER, SECOND)).toEqual(letIn(SECOND, { until: 5000 }));
      expect(await others.letInBy('s', APP, IMAGE, IMAGE)).toEqual(letIn(IMAGE));
      expect(await others.letIn('t', APP, LAYER)).toEqual([]);
      expect(await others.letIn('s', OTHER, LAYER)).toEqual([]);
      await others.dropLetIn('s', APP, [LAYER, IMAGE], IMAGE);
      expect(await by()).toEqual([SECOND]);
      expect(await verdicts.letIn('s', APP, IMAGE)).toEqual([]);
    });

    test('more than one commit holds is let in whole', async () => {
      const digests = Array.from({ length: 1203 }, (_, at) => digest(String(at)));
      await verdicts.putLetIn(
        's',
        APP,
        digests.map((of) => ({ digest: of, record: letIn(IMAGE) })),
      );
      for (const of of [digests[0]!, digests[499]!, digests[500]!, digests[1202]!])
        expect(await others.letIn('s', APP, of)).toEqual([letIn(IMAGE)]);
    });

    test('what did not count for long is forgotten, and what was let in for a while alone', async () => {
      const repositories = Array.from({ length: 40 }, (_, at) => `docker.io/corp/app-${at}`);
      for (const repository of repositories) {
        await verdicts.put('s', verdict({ repository, used: 1000 }));
        await verdicts.put('t', verdict({ repository, used: 3000, at: 1 }));
        await verdicts.putLetIn('s', repository, [
          { digest: LAYER, record: letIn(IMAGE, { at: 1999 }) },
          { digest: LAYER, record: letIn(SECOND, { at: 2000 }) },
          { digest: IMAGE, record: letIn(IMAGE, { at: 4000, until: 5000 }) },
        ]);
      }
      expect(new Set(repositories.map(admissionSlot)).size).toBeGreaterThan(10);
      expect(await others.forget(2000, 5000)).toBe(repositories.length * 3);
      expect(await others.forget(2000, 5000)).toBe(0);
      for (const repository of repositories) {
        expect(await verdicts.get('s', repository, IMAGE)).toBeUndefined();
        expect(await verdicts.get('t', repository, IMAGE)).toBeDefined();
        expect((await verdicts.letIn('s', repository, LAYER)).map(({ by }) => by)).toEqual([SECOND]);
        expect(await verdicts.letIn('s', repository, IMAGE)).toEqual([]);
      }
    });

    test('one that cannot be read is none, and keeps no other from being forgotten', async () => {
      await verdicts.put('s', verdict());
      const key = verdictKey('s', APP, SECOND);
      await under.store.commit(admissionSlot(APP), [{ key, value: Buffer.from('{"judge":1}') }]);
      expect(await verdicts.get('s', APP, SECOND)).toBeUndefined();
      expect(await verdicts.forget(2000, 0)).toBe(1);
      expect(ADMISSION_SLOTS).toContain(admissionSlot(APP));
    });
  });
}
