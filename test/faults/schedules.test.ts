import { describe, expect, test } from 'vitest';
import { sized, table } from '../scenarios/acceptance.ts';
import { drawSchedule } from './schedule/draw.ts';
import { failureText, judge, type Verdict } from './schedule/judge.ts';
import { promiseOf } from './schedule/oracle.ts';

/** `SEED=17` plays that one alone; `SEED=17-40` those. */
const [first = 1, last] = (process.env['SEED'] ?? '').split('-').filter(Boolean).map(Number);
const COUNT = process.env['SEED'] === undefined ? sized(24, 1000) : (last ?? first) - first + 1;

/** Played side by side: most of a schedule is waiting. */
const TOGETHER = 4;

describe('[#3.5] random faults over chains of one to four', () => {
  test(
    `${COUNT} schedules from seed ${first}: never a complete wrong body, never a hang, and success where anybody could have completed`,
    async () => {
      const seeds = Array.from({ length: COUNT }, (_, at) => first + at);
      const counts: Record<string, number> = {
        schedules: COUNT,
        requests: 0,
        whole: 0,
        cut: 0,
        refused: 0,
        wrong: 0,
        'bodies gone on with': 0,
        'objects that had to succeed at once': 0,
      };
      const failures: string[] = [];
      const work = async (): Promise<void> => {
        for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
          const schedule = drawSchedule(seed);
          const verdict = await judge(schedule);
          count(counts, verdict);
          counts['objects that had to succeed at once']! += (['manifest', 'blob0', 'blob1'] as const).filter(
            (object) => promiseOf(schedule, object) === 'first',
          ).length;
          if (verdict.faults.length > 0) failures.push(failureText(schedule, verdict.faults));
        }
      };
      await Promise.all(Array.from({ length: TOGETHER }, work));
      table('fault schedules', { ...counts, failed: failures.length });
      expect(failures.slice(0, 5).join('\n\n'), `${failures.length} schedules failed`).toBe('');
    },
    sized(180_000, 3_600_000),
  );
});

function count(counts: Record<string, number>, { seen, resumes }: Verdict): void {
  for (const { got } of seen) counts[got]! += 1;
  counts['requests']! += seen.length;
  counts['bodies gone on with']! += resumes;
}
