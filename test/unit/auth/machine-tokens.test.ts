import { beforeEach, describe, expect, test } from 'vitest';
import { createMachineTokens, type CreatedMachineToken, type MachineTokenKeeping } from '../../../src/auth/machine-tokens.ts';
import { formatMachineToken, isMachineTokenName, parseMachineToken } from '../../../src/auth/machine-token-text.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const HOUR = 3600_000;

let clock: FakeClock;
let records: Records;
let tokens: MachineTokenKeeping;
/** Times that a use was written. */
let written: string[];

beforeEach(() => {
  clock = createFakeClock(1_000_000);
  records = createRecords(createMemoryMetadata({ async: true }), { clock });
  written = [];
  const real = records.machineTokens;
  const watched: Records['machineTokens'] = {
    ...real,
    used: (id, at) => {
      written.push(id);
      return real.used(id, at);
    },
  };
  tokens = createMachineTokens({ records: watched, clock, random: createSeededRandom(1) });
});

async function create(name: string, lifetimeMs?: number): Promise<CreatedMachineToken> {
  const made = await tokens.create(name, lifetimeMs);
  if (typeof made === 'string') throw new Error(made);
  return made;
}

describe('a machine token', () => {
  test('says who somebody is until it is revoked, and with it whoever proved it before', async () => {
    const { text } = await create('ci-build');
    const id = text.split('_')[1]!;
    expect(tokens.isOne(text)).toBe(true);
    expect(await tokens.verify(text)).toEqual({ kind: 'token', name: 'ci-build', id });
    expect(await tokens.stands(id)).toBe(true);
    expect(await tokens.revoke('ci-build')).toMatchObject({ name: 'ci-build' });
    expect(await tokens.verify(text)).toBeUndefined();
    expect(await tokens.stands(id)).toBe(false);
    expect(await tokens.revoke('ci-build')).toBeUndefined();
  });

  test('made anew under a name that another had is not that other one', async () => {
    const first = await create('ci');
    await tokens.revoke('ci');
    const second = await create('ci');
    expect(await tokens.verify(first.text)).toBeUndefined();
    expect(await tokens.verify(second.text)).toMatchObject({ name: 'ci' });
    expect(await tokens.stands(first.text.split('_')[1]!)).toBe(false);
  });

  test('is none any more from the moment on when it expires', async () => {
    const { text, expires } = await create('ci', HOUR);
    expect(expires).toBe(1_000_000 + HOUR);
    await clock.advance(HOUR - 1);
    expect(await tokens.verify(text)).toBeDefined();
    await clock.advance(1);
    expect(await tokens.verify(text)).toBeUndefined();
    expect(await tokens.stands(text.split('_')[1]!)).toBe(false);
    expect(await tokens.list()).toHaveLength(1);
  });

  test('has its name alone, until it expires', async () => {
    const first = await create('ci', HOUR);
    expect(await tokens.create('ci', undefined)).toBe('taken');
    await clock.advance(HOUR);
    const second = await create('ci');
    expect(await tokens.list()).toEqual([{ name: 'ci', created: clock.now() }]);
    expect(await tokens.verify(first.text)).toBeUndefined();
    expect(await tokens.verify(second.text)).toBeDefined();
  });

  test('with another secret is none', async () => {
    const { text } = await create('ci');
    const { id, secret } = parseMachineToken(text)!;
    const other = `${secret.startsWith('A') ? 'B' : 'A'}${secret.slice(1)}`;
    expect(tokens.isOne(formatMachineToken({ id, secret: other }))).toBe(true);
    expect(await tokens.verify(formatMachineToken({ id, secret: other }))).toBeUndefined();
    expect(await tokens.verify(formatMachineToken({ id: '0'.repeat(16), secret }))).toBeUndefined();
    expect(written).toEqual([]);
  });

  test('is kept nowhere: only its hash is', async () => {
    const { text } = await create('ci');
    const { id, secret } = parseMachineToken(text)!;
    const record = await records.machineTokens.get(id);
    expect(record?.hash).toMatch(/^[0-9a-f]{64}$/);
    const kept = JSON.stringify([record, await records.machineTokens.all(), await tokens.list(), await tokens.revoke('ci')]);
    expect(kept).not.toContain(secret);
  });

  test('is listed by name, with its last use, which is written once a minute at most', async () => {
    const b = await create('b');
    const a = await create('a', HOUR);
    expect((await tokens.list()).map(({ name, used }) => [name, used])).toEqual([
      ['a', undefined],
      ['b', undefined],
    ]);
    await clock.advance(5000);
    for (let at = 0; at < 100; at += 1) await tokens.verify(b.text);
    await clock.advance(30_000);
    await tokens.stands(b.text.split('_')[1]!);
    expect(written).toHaveLength(1);
    expect((await tokens.list())[1]).toEqual({ name: 'b', created: 1_000_000, used: 1_005_000 });
    await clock.advance(30_000);
    await tokens.stands(b.text.split('_')[1]!);
    await tokens.verify(a.text);
    await clock.advance(0);
    expect((await tokens.list()).map(({ used }) => used)).toEqual([1_065_000, 1_065_000]);
  });

  test('works where its use cannot be written, which the next request tries again', async () => {
    const { text } = await create('ci');
    let fails = true;
    const real = records.machineTokens;
    const used = async (id: string, at: number): Promise<void> => {
      if (fails) throw new Error('no');
      return real.used(id, at);
    };
    tokens = createMachineTokens({ records: { ...real, used }, clock, random: createSeededRandom(1) });
    expect(await tokens.verify(text)).toBeDefined();
    await clock.advance(0);
    fails = false;
    expect(await tokens.verify(text)).toBeDefined();
    await clock.advance(0);
    expect((await tokens.list())[0]?.used).toBe(clock.now());
  });
});

describe('the text of one', () => {
  test('is known by its form and its check', async () => {
    const { text } = await create('ci');
    expect(text).toMatch(/^entrepot_[0-9a-f]{16}_[A-Za-z0-9_-]{43}[0-9a-f]{6}$/);
    expect(text).toHaveLength(75);
    for (let at = 0; at < text.length; at += 1) {
      const other = `${text.slice(0, at)}${text[at] === '0' ? '1' : '0'}${text.slice(at + 1)}`;
      expect(tokens.isOne(other), `letter ${at}`).toBe(false);
    }
    for (const other of [
      `${text} `,
      `${text}\n`,
      ` ${text}`,
      text.toUpperCase(),
      text.slice(0, -1),
      '',
      'entrepot_',
      'password',
    ])
      expect(tokens.isOne(other), JSON.stringify(other)).toBe(false);
    expect(await tokens.verify('password')).toBeUndefined();
  });

  test('is another each time', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, at) => create(`ci-${at}`)));
    const ids = new Set(all.map(({ text }) => parseMachineToken(text)?.id));
    const secrets = new Set(all.map(({ text }) => parseMachineToken(text)?.secret));
    expect([ids.size, secrets.size]).toEqual([20, 20]);
  });
});

test.each([
  ['ci', true],
  ['ci-build_2.x', true],
  ['0', true],
  ['a'.repeat(64), true],
  ['a'.repeat(65), false],
  ['', false],
  ['CI', false],
  ['-ci', false],
  ['ci-', false],
  ['ci..build', false],
  ['ci build', false],
  ['ci:build', false],
  ['ci*', false],
  ['ci\n', false],
  ['café', false],
])('%j may be a name: %s', (name, may) => {
  expect(isMachineTokenName(name)).toBe(may);
});
