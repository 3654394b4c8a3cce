import { beforeEach, expect, test } from 'vitest';
import { createProgress } from '../../../src/commands/progress.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';

let out: string[];
let clock: FakeClock;
beforeEach(() => {
  out = [];
  clock = createFakeClock(0);
});

const progress = (interactive: boolean, silent = false) =>
  createProgress(
    {
      clock,
      terminal: {
        interactive,
        out: (text) => void out.push(text),
        err: () => undefined,
        stream: { columns: 60 } as NodeJS.WriteStream,
      },
    },
    silent,
  );

test('a bar on a terminal, on one line however long its text is; what stays is above it', () => {
  const shown = progress(true);
  shown.at(1, 4, 'a'.repeat(100));
  shown.line('not taken: x');
  shown.at(4, 4, 'done');
  shown.end();
  expect(out[0]).toBe(`\r\u001b[K[######------------------] 25% ${'a'.repeat(28)}`);
  expect(out.slice(1)).toEqual([
    '\r\u001b[K',
    'not taken: x\n',
    '\r\u001b[K[########################] 100% done',
    '\r\u001b[K',
  ]);
});

test('elsewhere a line every ten seconds, and none where JSON is printed', async () => {
  const shown = progress(false);
  for (let second = 0; second < 25; second += 1) {
    shown.at(second, 100, 'x');
    await clock.advance(1000);
  }
  shown.end();
  expect(out).toEqual(['10% x\n', '20% x\n']);
  const silent = progress(true, true);
  silent.at(1, 2, 'x');
  silent.end();
  expect(out).toHaveLength(2);
});

test('[S47] names from a disk cannot steer the terminal', () => {
  const shown = progress(true);
  shown.at(1, 2, 'now a\u001b[2Jb');
  shown.line('not taken: \u0007\u001b]0;x');
  expect(out.join('')).not.toContain('\u001b[2J');
  expect(out.at(-1)).toBe('not taken: ??]0;x\n');
});
