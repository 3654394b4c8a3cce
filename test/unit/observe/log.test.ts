import { describe, expect, test } from 'vitest';
import { createLineSink } from '../../../src/observe/line-sink.ts';
import { recordingLog } from './recorder.ts';

describe('log', () => {
  test('a record is one JSON line with time, level and msg', () => {
    const { log, lines, records } = recordingLog({ fields: { service: 'mirror' } });
    log.warn('upstream down', { upstream: 'hub' });
    expect(lines).toHaveLength(1);
    expect(records()[0]).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      service: 'mirror',
      upstream: 'hub',
      msg: 'upstream down',
    });
  });

  test('whatever a value holds, the record stays one line (S47)', () => {
    const { log, lines, records } = recordingLog();
    const evil = 'a\n{"level":"error","msg":"forged"}\r\u001b[31m\u2028\0';
    log.info('request', { path: evil, tried: [{ error: evil }] });
    expect(lines).toHaveLength(1);
    expect(Array.from(lines[0] ?? '').filter((character) => character < ' ')).toEqual(['\n']);
    expect(records()[0]?.['path']).toBe(evil);
  });

  test.each([
    ['error', ['error']],
    ['warn', ['error', 'warn']],
    ['info', ['error', 'warn', 'info']],
    ['debug', ['error', 'warn', 'info', 'debug']],
  ] as const)('at level %s the records %j are printed, and `always` too', (level, expected) => {
    const { log, records } = recordingLog({ level });
    for (const each of ['error', 'warn', 'info', 'debug'] as const) log[each](each);
    log.always('listening');
    expect(records().map(({ msg }) => msg)).toEqual([...expected, 'listening']);
  });

  test('a reload may change the level', () => {
    const { log, records } = recordingLog({ level: 'error' });
    log.info('unheard');
    log.setLevel('info');
    log.info('heard');
    expect(records().map(({ msg }) => msg)).toEqual(['heard']);
  });

  test('the text form is one readable line, without what a terminal obeys', () => {
    const { log, lines } = recordingLog({ formatter: 'text' });
    log.warn('upstream down', { upstream: 'hub', error: 'no "route"\nto host\u009b2J', ms: 12, user: null });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^\d{4}-\S+Z warn {2}upstream down upstream=hub error="no \\"route\\"\\nto host\\u009b2J" ms=12\n$/,
    );
  });

  test('[S47] nor within what is listed in it', () => {
    const { log, lines } = recordingLog({ formatter: 'text' });
    log.info('request', { tried: [{ upstream: 'hub', error: 'no\u009b2J\u007f' }] });
    expect(lines[0]).toMatch(/ request tried=\[\{"upstream":"hub","error":"no\\u009b2J\\u007f"\}\]\n$/);
  });
});

describe('line sink', () => {
  test('what a reader that stopped does not take is dropped and counted, never waited for (R63)', () => {
    const waiting: string[] = [];
    const stream = {
      get writableLength() {
        return waiting.join('').length;
      },
      destroyed: false,
      write: (text: string) => waiting.push(text),
      on: () => {},
    };
    const sink = createLineSink(stream, 25);
    for (let at = 0; at < 5; at += 1) sink.write('123456789\n');
    expect(waiting).toHaveLength(2);
    expect(sink.dropped()).toBe(3);
    waiting.length = 0;
    sink.write('again\n');
    expect(waiting).toEqual(['again\n']);
  });

  test('a pipe without reader ends nothing', () => {
    const listeners: ((error: Error) => void)[] = [];
    const stream = {
      writableLength: 0,
      destroyed: true,
      write: () => expect.unreachable(),
      on: (_: 'error', one: (error: Error) => void) => listeners.push(one),
    };
    const sink = createLineSink(stream);
    expect(() => listeners.forEach((one) => one(new Error('EPIPE')))).not.toThrow();
    expect(listeners).toHaveLength(1);
    sink.write('line\n');
    expect(sink.dropped()).toBe(1);
  });
});
