import { expect, test } from 'vitest';
import type { Form } from '../../../src/metadata/forms.ts';
import { createTable, READ_MAX } from '../../../src/metadata/table.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';

interface Said {
  readonly said: string;
}

function reading() {
  const store = createMemoryMetadata();
  const reported: string[] = [];
  const parsed: string[] = [];
  const form: Form<Said> = {
    encode: ({ said }) => Buffer.from(said),
    decode(bytes) {
      const said = Buffer.from(bytes).toString();
      parsed.push(said);
      return said === 'nonsense' ? undefined : { said };
    },
    same: (a, b) => a?.said === b?.said,
  };
  const table = createTable(store, ({ kind }) => void reported.push(kind));
  return {
    parsed,
    reported,
    put: (id: string, said: string | undefined) =>
      store.commit('s', [{ key: ['tags', id], value: said === undefined ? undefined : Buffer.from(said) }]),
    get: (id: string) => table.getAgain('s', ['tags', id], form),
  };
}

test('what is there unchanged is parsed once', async () => {
  const { parsed, put, get } = reading();
  await put('a', 'one');
  const first = get('a');
  expect(first).toEqual({ said: 'one' });
  expect(get('a')).toBe(first);
  expect(Object.isFrozen(first)).toBe(true);
  expect(parsed).toEqual(['one']);
});

test('what was changed or removed meanwhile is never said as it was', async () => {
  const { put, get } = reading();
  for (const said of ['one', 'two', undefined, 'two', 'one']) {
    await put('a', said);
    expect(get('a')).toEqual(said && { said });
  }
});

test('what does not parse is reported each time, and not remembered', async () => {
  const { reported, put, get } = reading();
  await put('a', 'nonsense');
  expect(get('a')).toBeUndefined();
  expect(get('a')).toBeUndefined();
  expect(reported).toEqual(['metadata-undecodable', 'metadata-undecodable']);
});

test('what is remembered is bounded: what was read first is parsed again', async () => {
  const { parsed, put, get } = reading();
  for (let at = 0; at <= READ_MAX; at += 1) {
    await put(`${at}`, `${at}`);
    void get(`${at}`);
  }
  parsed.length = 0;
  void get(`${READ_MAX}`);
  void get('0');
  expect(parsed).toEqual(['0']);
});
