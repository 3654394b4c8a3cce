import { expect, test } from 'vitest';
import { createFileSink, type FileSink, type FileSinkOptions } from '../../../src/observe/file-sink.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';

/** A file that takes a moment for each text, and may be made to fail. */
function file(options: Partial<Pick<FileSinkOptions, 'backlogMax' | 'onTrouble'>> = {}) {
  const clock = createFakeClock();
  const state = { fails: false, appends: [] as string[], troubles: [] as unknown[] };
  const sink: FileSink = createFileSink({
    async append(text) {
      await Promise.resolve();
      if (state.fails) throw new Error('full');
      state.appends.push(text);
    },
    after: (ms, callback) => clock.after(ms, callback),
    onTrouble: (error) => state.troubles.push(error),
    ...options,
  });
  return { clock, state, sink };
}

test('lines are written in order, those that come meanwhile together', async () => {
  const { clock, state, sink } = file();
  for (const line of ['a\n', 'b\n', 'c\n']) sink.write(line);
  await clock.advance(0);
  sink.write('d\n');
  await clock.advance(0);
  expect(state.appends).toEqual(['a\n', 'b\nc\n', 'd\n']);
  expect(state.troubles).toEqual([]);
});

test('a line that comes just as the last one is written is written too', async () => {
  for (let turns = 0; turns < 8; turns++) {
    const { clock, state, sink } = file();
    sink.write('a\n');
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    sink.write('b\n');
    await clock.advance(0);
    expect(state.appends.join('')).toBe('a\nb\n');
  }
});

test('what cannot be written waits, is told once, and is written when it can be', async () => {
  const { clock, state, sink } = file();
  state.fails = true;
  sink.write('a\n');
  await clock.advance(5000);
  sink.write('b\n');
  await clock.advance(5000);
  expect(state.troubles).toEqual([new Error('full')]);
  state.fails = false;
  await clock.advance(4999);
  expect(state.appends).toEqual([]);
  await clock.advance(1);
  expect(state.appends).toEqual(['a\nb\n']);
  expect(state.troubles).toEqual([new Error('full'), undefined]);
  expect(clock.pending()).toBe(0);
});

test('what is written on hearing that it is over is written too', async () => {
  const { clock, state, sink } = file({
    onTrouble: (error) => {
      if (error === undefined) sink.write('over\n');
    },
  });
  state.fails = true;
  sink.write('a\n');
  await clock.advance(0);
  state.fails = false;
  await clock.advance(5000);
  expect(state.appends).toEqual(['a\n', 'over\n']);
});

test('so much waits, and what is beyond it is dropped and counted', async () => {
  const { clock, state, sink } = file({ backlogMax: 6 });
  state.fails = true;
  for (const line of ['aa\n', 'bb\n', 'cc\n']) sink.write(line);
  await clock.advance(0);
  sink.write('dd\n');
  expect(sink.dropped()).toBe(2);
  state.fails = false;
  await clock.advance(5000);
  sink.write('ee\n');
  await clock.advance(0);
  expect(state.appends).toEqual(['aa\nbb\n', 'ee\n']);
});

test('at its end it tries once more, and leaves no timer', async () => {
  const { clock, state, sink } = file();
  state.fails = true;
  sink.write('a\n');
  await clock.advance(0);
  state.fails = false;
  await sink.stop();
  expect(state.appends).toEqual(['a\n']);
  sink.write('b\n');
  await clock.advance(10_000);
  expect(state.appends).toEqual(['a\n']);

  const other = file();
  other.state.fails = true;
  other.sink.write('a\n');
  await other.sink.stop();
  expect(other.clock.pending()).toBe(0);
});
