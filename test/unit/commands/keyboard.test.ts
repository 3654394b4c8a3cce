import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createKeyboard, type KeyboardInput } from '../../../src/commands/keyboard.ts';

function terminal() {
  const raw: boolean[] = [];
  /** Of each thing that was shown: whether what is typed then would not be. */
  const shownRaw: boolean[] = [];
  let shown = '';
  const stream = new PassThrough();
  const input: KeyboardInput = Object.assign(stream, {
    isTTY: true,
    setRawMode: (mode: boolean) => raw.push(mode),
  });
  const keyboard = createKeyboard(
    () => input,
    (text) => {
      shown += text;
      shownRaw.push(raw.at(-1) === true);
    },
  );
  return { keyboard, stream, raw, shown: () => shown, shownRaw };
}

async function typed(...chunks: readonly (string | Buffer)[]): Promise<string> {
  const { keyboard, stream } = terminal();
  const answer = keyboard.ask('password: ');
  for (const chunk of chunks) stream.write(chunk);
  return answer;
}

describe('a question for a secret', () => {
  test('shows nothing of what is typed, and leaves the terminal as it was', async () => {
    const { keyboard, stream, raw, shown, shownRaw } = terminal();
    const answer = keyboard.ask('password: ');
    expect(raw).toEqual([true]);
    stream.write('geheim\r');
    expect(await answer).toBe('geheim');
    expect(shown()).toBe('password: \n');
    expect(shownRaw).toEqual([true, true]);
    expect(raw).toEqual([true, false]);
    expect(stream.listenerCount('data')).toBe(0);
  });

  test.each<[string, readonly (string | Buffer)[], string]>([
    ['in pieces', ['ge', 'heim', '\n'], 'geheim'],
    ['a character in two pieces', [Buffer.from([0xc3]), Buffer.from([0xa9]), '\r'], 'é'],
    ['mended', ['gex\u007fheé\u007fim\r'], 'geheim'],
    ['mended more than there is', ['\u0008\u007fa\r'], 'a'],
    ['begun anew', ['wrong\u0015geheim\r'], 'geheim'],
    ['with arrows', ['ge', '\u001b[D', 'heim\r'], 'geheim'],
    ['with other control characters', ['ge\u0001\theim\r'], 'geheim'],
    ['ended by ^D', ['geheim\u0004'], 'geheim'],
    ['empty', ['\r'], ''],
  ])('takes what is typed %s', async (_, chunks, text) => {
    expect(await typed(...chunks)).toBe(text);
  });

  test('takes of what was pasted one line, and the next question the next', async () => {
    const { keyboard, stream } = terminal();
    const first = keyboard.ask('one ');
    stream.write('geheim\r\nanders\n');
    expect(await first).toBe('geheim');
    expect(await keyboard.ask('two ')).toBe('anders');
  });

  test.each([
    ['\u0003', 'broken off'],
    ['geheim\u0003', 'broken off'],
    ['\u0004', 'nothing was typed'],
  ])('is broken off by %j', async (keys, said) => {
    const { keyboard, stream, raw } = terminal();
    const answer = keyboard.ask('password: ');
    stream.write(keys);
    await expect(answer).rejects.toThrow(said);
    expect(raw).toEqual([true, false]);
  });

  test('ends with the terminal', async () => {
    const { keyboard, stream } = terminal();
    const answer = keyboard.ask('password: ');
    stream.end();
    await expect(answer).rejects.toThrow('nothing was typed');
  });
});

describe('what is piped in', () => {
  test('is read to its end, up to a bound', async () => {
    const keyboardOf = (text: string) =>
      createKeyboard(
        () => new PassThrough().end(text),
        () => undefined,
      );
    expect(keyboardOf('').interactive).toBe(false);
    expect(await keyboardOf('geheim\n').readAll(7)).toBe('geheim\n');
    await expect(keyboardOf('geheim\n').readAll(6)).rejects.toThrow('more than 6 bytes');
  });
});
