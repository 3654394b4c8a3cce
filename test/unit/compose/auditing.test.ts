import { expect, test } from 'vitest';
import { createAuditing } from '../../../src/compose/auditing.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';

const pin = (name: string) => ({ kind: 'command', command: 'pin', name }) as const;

async function house() {
  const clock = createFakeClock();
  const disk = createMemoryDisk();
  await disk.makeDirectory('/log');
  const troubles: unknown[] = [];
  const auditing = createAuditing({
    system: { clock, disk },
    stdout: undefined,
    onTrouble: (error) => troubles.push(error instanceof Error ? 'trouble' : error),
  });
  const told = (path: string): string[] => {
    const text = Buffer.from(disk.peek().get(path) ?? []).toString();
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const { action, reference, reason } = JSON.parse(line) as Record<string, string | null>;
        return `${action} ${reference ?? reason}`;
      });
  };
  return { clock, disk, auditing, troubles, told };
}

test('a gap is told where it is, with how many records it has', async () => {
  const { clock, disk, auditing, told } = await house();
  auditing.apply({ audit: { file: '/log/a' } });
  const heal = disk.fail({ on: 'write', as: 'ENOSPC' });
  const long = 'x'.repeat(4000);
  for (let at = 0; at < 1500; at++) auditing.note(pin(long));
  await clock.advance(0);
  heal();
  await clock.advance(5000);
  auditing.note(pin('after'));
  await auditing.stop();
  const lines = told('/log/a');
  const kept = lines.filter((line) => line.endsWith(long)).length;
  expect(kept).toBeGreaterThan(900);
  expect(lines.slice(kept)).toEqual([`lost ${1500 - kept} records`, 'pin after']);
});

test('the trouble of a file that is no longer meant is over, and a new one has its own', async () => {
  const { clock, disk, auditing, troubles, told } = await house();
  disk.fail({ on: 'open', as: 'EACCES', when: ({ path }) => path === '/log/a' });
  auditing.apply({ audit: { file: '/log/a' } });
  auditing.note(pin('one'));
  await clock.advance(0);
  expect(troubles).toEqual([undefined, 'trouble']);
  auditing.apply({ audit: { file: '/log/b' } });
  auditing.note(pin('two'));
  await clock.advance(5000);
  expect(troubles).toEqual([undefined, 'trouble', undefined]);
  expect(told('/log/b')).toEqual(['pin two']);
  auditing.apply({ audit: { file: undefined } });
  auditing.note(pin('three'));
  await auditing.stop();
  expect(told('/log/b')).toEqual(['pin two']);
  expect(disk.openFiles()).toEqual([]);
});
