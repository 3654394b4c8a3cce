import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRefreshTokens } from '../../src/auth/refresh-tokens.ts';
import type { Subject } from '../../src/auth/subject.ts';
import type { RefreshTokens } from '../../src/auth/ways.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { AUDIENCE, DAY, MINUTE, startNode, type Node } from '../unit/auth/token-house.ts';
import type { StoreUnderTest } from './metadata-store.ts';

const ANN: Subject = { kind: 'user', name: 'ann' };

const issue = async ({ tokens }: Node): Promise<string> =>
  (await tokens.issue({ subject: ANN, fingerprint: 'f', scopes: [], audience: AUDIENCE })).token;

/** What two nodes over one store must do with tokens, whichever store it is. */
export function tokensConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`tokens over ${name}`, () => {
    let under: StoreUnderTest;
    let [one, two]: readonly Node[] = [];
    beforeEach(async () => {
      under = await make();
      one = startNode(under.store, 1);
      two = startNode(under.other, 2, one.clock);
    });
    afterEach(() => under.clean());
    const nodes = (): readonly [Node, Node] => {
      if (one === undefined || two === undefined) throw new Error('there are two nodes');
      return [one, two];
    };
    const refreshOf = ({ records, clock }: Node, seed: number): RefreshTokens =>
      createRefreshTokens({
        records: records.refreshTokens,
        clock,
        random: createSeededRandom(seed),
        stands: async () => true,
        isMissing: () => false,
      });

    test('fifty first ones on each of two nodes at once are of one key, and good on both', async () => {
      const both = nodes();
      const tokens = await Promise.all(both.flatMap((node) => Array.from({ length: 50 }, () => issue(node))));
      expect(await both[0].records.signingKeys.all()).toHaveLength(1);
      for (const node of both)
        for (const token of tokens)
          expect(await node.tokens.verify(token, AUDIENCE)).toMatchObject({ identity: { subject: ANN } });
    });

    test('a node takes up the key that another has made in the place of an old one', async () => {
      const [first, second] = nodes();
      await issue(first);
      await issue(second);
      await first.clock.advance(30 * DAY);
      const [ofFirst, ofSecond] = await Promise.all([issue(first), issue(second)]);
      expect(await first.records.signingKeys.all()).toHaveLength(2);
      expect(await first.tokens.verify(ofSecond, AUDIENCE)).toBeDefined();
      expect(await second.tokens.verify(ofFirst, AUDIENCE)).toBeDefined();
    });

    test('what is replaced is what was read, or nothing is written', async () => {
      const [{ records }, { records: others }] = nodes();
      const key = (id: string) => ({ id, secret: 'c2VjcmV0', at: 1 });
      expect(await records.signingKeys.all()).toEqual([]);
      expect(await records.signingKeys.replace([], [key('a')])).toBe(true);
      expect(await others.signingKeys.replace([], [key('b')])).toBe(false);
      expect(await others.signingKeys.replace([key('a')], [key('b'), key('a')])).toBe(true);
      expect(await records.signingKeys.all()).toEqual([key('b'), key('a')]);
    });

    test('a refresh token is known on both nodes until one of them drops it', async () => {
      const [first, second] = nodes();
      const [here, there] = [refreshOf(first, 1), refreshOf(second, 2)];
      const text = await here.issue({ subject: ANN, fingerprint: 'f', audience: AUDIENCE });
      expect(await there.verify(text, AUDIENCE)).toEqual({ subject: ANN, fingerprint: 'f' });
      await first.clock.advance(11 * MINUTE);
      const known = await Promise.all(
        Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? here : there).verify(text, AUDIENCE)),
      );
      expect(known.every((one) => one !== undefined)).toBe(true);
      await first.clock.advance(91 * DAY);
      expect(await here.verify(text, AUDIENCE)).toBeUndefined();
      expect(await there.verify(text, AUDIENCE)).toBeUndefined();
    });

    test('the longest unused refresh tokens of a subject go beyond two hundred; a use does not bring one back', async () => {
      const [{ records, clock }] = nodes();
      const { refreshTokens } = records;
      const record = (used: number) => ({ subject: '{}', audience: AUDIENCE, created: 0, used });
      const keep = { since: 0, max: 200 };
      for (let at = 0; at < 203; at += 1) await refreshTokens.put('owner', `h${at}`, record(clock.now() + at), keep);
      expect(await refreshTokens.get('owner', 'h2')).toBeUndefined();
      expect(await refreshTokens.get('owner', 'h3')).toEqual(record(clock.now() + 3));
      expect(await refreshTokens.get('other', 'h3')).toBeUndefined();
      await refreshTokens.use('owner', 'h2', clock.now());
      expect(await refreshTokens.get('owner', 'h2')).toBeUndefined();
      expect(await under.store.list('sign-in/owner', 'refresh-tokens', undefined, 500)).toHaveLength(200);
      await refreshTokens.use('owner', 'h3', clock.now() + 500);
      expect(await refreshTokens.get('owner', 'h3')).toEqual(record(clock.now() + 500));
      await refreshTokens.put('owner', 'new', record(clock.now() + 501), { since: clock.now() + 100, max: 200 });
      expect(await refreshTokens.get('owner', 'h3')).toBeDefined();
      expect(await refreshTokens.get('owner', 'h99')).toBeUndefined();
      expect(await refreshTokens.get('owner', 'h100')).toBeDefined();
    });
  });
}
