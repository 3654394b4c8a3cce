import { beforeEach, describe, expect, test } from 'vitest';
import { createRefreshTokens } from '../../../src/auth/refresh-tokens.ts';
import type { Subject } from '../../../src/auth/subject.ts';
import type { RefreshTokens } from '../../../src/auth/ways.ts';
import { createRecords, type Records } from '../../../src/metadata/records.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import type { MemoryMetadata } from '../../fakes/memory-metadata.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { AUDIENCE, DAY, emptyStore, MINUTE, START } from './token-house.ts';

const ANN: Subject = { kind: 'user', name: 'ann' };
const CI: Subject = { kind: 'token', name: 'ci', id: 'a1' };

describe('refresh tokens', () => {
  let store: MemoryMetadata;
  let clock: FakeClock;
  let records: Records;
  let refresh: RefreshTokens;
  /** `kind:fingerprint` of those who stand. */
  let standing: Set<string>;
  let missing: boolean;

  beforeEach(() => {
    store = emptyStore();
    clock = createFakeClock(START);
    records = createRecords(store, { clock });
    standing = new Set(['user:f1', 'token:undefined']);
    missing = false;
    refresh = createRefreshTokens({
      records: records.refreshTokens,
      clock,
      random: createSeededRandom(1),
      stands: async ({ kind }, fingerprint) => standing.has(`${kind}:${fingerprint}`),
      isMissing: () => missing,
    });
  });
  const issue = (subject: Subject = ANN): Promise<string> =>
    refresh.issue({ subject, fingerprint: subject.kind === 'user' ? 'f1' : undefined, audience: AUDIENCE });

  test('say whose they are, as often as they are asked, fifty times at once too', async () => {
    const text = await issue();
    expect(refresh.isOne(text)).toBe(true);
    const known = await Promise.all(Array.from({ length: 50 }, () => refresh.verify(text, AUDIENCE)));
    expect(known).toEqual(known.map(() => ({ subject: ANN, fingerprint: 'f1' })));
    expect(await refresh.verify(await issue(CI), AUDIENCE)).toEqual({ subject: CI, fingerprint: undefined });
  });

  test('are kept as a hash', async () => {
    const text = await issue();
    const kept: string[] = [];
    for await (const { slot, id, value } of store.entries()) kept.push(`${slot} ${id} ${Buffer.from(value).toString()}`);
    expect(kept.join('\n')).toContain('user');
    expect(kept.join('\n')).not.toContain(text.slice(-43));
  });

  test('are good for one Host', async () => {
    const text = await issue();
    expect(await refresh.verify(text, 'other.test')).toBeUndefined();
    expect(await refresh.verify(text, AUDIENCE)).toBeDefined();
  });

  test('cannot be made up, nor one out of two', async () => {
    const [anns, cis] = [await issue(), await issue(CI)];
    const mixed = `${anns.slice(0, -43)}${cis.slice(-43)}`;
    expect(refresh.isOne(mixed)).toBe(true);
    expect(await refresh.verify(mixed, AUDIENCE)).toBeUndefined();
    for (const text of ['', 'a.b.c', `${anns}x`, ` ${anns}`, anns.toUpperCase()]) {
      expect(refresh.isOne(text)).toBe(false);
      expect(await refresh.verify(text, AUDIENCE)).toBeUndefined();
    }
  });

  test('end ninety days after they were last used', async () => {
    const text = await issue();
    await clock.advance(89 * DAY);
    expect(await refresh.verify(text, AUDIENCE)).toBeDefined();
    await clock.advance(89 * DAY);
    expect(await refresh.verify(text, AUDIENCE)).toBeDefined();
    await clock.advance(90 * DAY + 1);
    expect(await refresh.verify(text, AUDIENCE)).toBeUndefined();
    expect(store.keys().filter((key) => key.startsWith('sign-in/'))).toEqual([]);
  });

  test('write their use every ten minutes at most, and do without where they cannot', async () => {
    const text = await issue();
    let commits = 0;
    store.beforeCommit(() => void (commits += 1));
    for (let minute = 0; minute < 25; minute += 1) {
      expect(await refresh.verify(text, AUDIENCE)).toBeDefined();
      await clock.advance(MINUTE);
    }
    expect(commits).toBe(2);
    store.beforeCommit(() => Promise.reject(new Error('the disk is full')));
    await clock.advance(11 * MINUTE);
    expect(await refresh.verify(text, AUDIENCE)).toBeDefined();
  });

  test('[GHSA-qxxr] are gone for good when whoever they stand for is gone, or has another password', async () => {
    const text = await issue();
    standing = new Set(['user:f2']);
    expect(await refresh.verify(text, AUDIENCE)).toBeUndefined();
    standing = new Set(['user:f1']);
    expect(await refresh.verify(text, AUDIENCE)).toBeUndefined();
  });

  test('are refused while there is no such user, and good again when there is', async () => {
    const text = await issue();
    [standing, missing] = [new Set(), true];
    for (let at = 0; at < 3; at += 1) expect(await refresh.verify(text, AUDIENCE)).toBeUndefined();
    [standing, missing] = [new Set(['user:f1']), false];
    expect(await refresh.verify(text, AUDIENCE)).toBeDefined();
    [standing, missing] = [new Set(), true];
    await clock.advance(91 * DAY);
    expect(await refresh.verify(text, AUDIENCE)).toBeUndefined();
    expect(store.keys().filter((key) => key.startsWith('sign-in/'))).toEqual([]);
  });

  test('of one subject are two hundred: those go that nobody has used for the longest time', async () => {
    const used = await issue();
    const others: string[] = [];
    for (let at = 0; at < 205; at += 1) {
      await clock.advance(11 * MINUTE);
      expect(await refresh.verify(used, AUDIENCE)).toBeDefined();
      others.push(await issue());
    }
    const cis = await issue(CI);
    const stand = await Promise.all(others.map(async (text) => (await refresh.verify(text, AUDIENCE)) !== undefined));
    expect(stand.indexOf(true)).toBe(6);
    expect(stand.filter(Boolean)).toHaveLength(199);
    expect(await refresh.verify(cis, AUDIENCE)).toBeDefined();
  });

  test('of ninety days ago go as their owner signs in again', async () => {
    await issue();
    await clock.advance(91 * DAY);
    await issue();
    expect(store.keys().filter((key) => key.startsWith('sign-in/'))).toHaveLength(1);
  });

  test('of a machine token’s name are not those of another that has it now', async () => {
    await issue(CI);
    await issue({ kind: 'token', name: 'ci', id: 'b2' });
    expect(
      new Set(
        store
          .keys()
          .filter((key) => key.startsWith('sign-in/'))
          .map((key) => key.split(' ')[0]),
      ).size,
    ).toBe(2);
  });

  test('cannot be told while the store cannot be asked', async () => {
    const text = await issue();
    store.setDown(true);
    await expect(refresh.verify(text, AUDIENCE)).rejects.toThrow('switched off');
  });
});
