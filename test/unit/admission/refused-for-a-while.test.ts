import { expect, test } from 'vitest';
import { decide } from '../../../src/admission/decide.ts';
import type { Judge } from '../../../src/admission/judge.ts';
import { Ledger } from '../../../src/admission/ledger.ts';
import { createRecords } from '../../../src/metadata/records.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { entering } from './cosign/repository.ts';

test.each([
  ['for good', undefined, [1, 1, 1]],
  ['for a while', 60_000, [1, 1, 2]],
])('what a judge refuses %s is asked about again then', async (_, refusesForMs, expected) => {
  const clock = createFakeClock();
  let asked = 0;
  const judge: Judge = {
    name: 'signed',
    fingerprint: 'f',
    covers: 'children',
    onError: 'refuse',
    ...(refusesForMs === undefined ? {} : { refusesForMs }),
    async judge() {
      asked += 1;
      return { kind: 'refused', reason: 'nobody signed it' };
    },
  };
  const ledger = new Ledger(createRecords(createMemoryMetadata(), { clock }));
  const deps = { clock, ledger, report: () => undefined, signal: new AbortController().signal };
  const seen: number[] = [];
  for (const ms of [0, 59_999, 1]) {
    await clock.advance(ms);
    const decision = await decide(deps, { judges: [judge], scope: 's' }, entering(), () => undefined);
    expect(decision).toEqual({ kind: 'refused', judge: 'signed', reason: 'nobody signed it' });
    seen.push(asked);
  }
  expect(seen).toEqual(expected);
});
