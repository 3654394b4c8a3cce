import { describe, expect, test } from 'vitest';
import { createOwnTokens } from '../../../src/auth/own-tokens.ts';
import { ANYONE, type Subject } from '../../../src/auth/subject.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { AUDIENCE, DAY, emptyStore, MINUTE, opened, START, startNode, type Node } from './token-house.ts';

const ANN: Subject = { kind: 'user', name: 'ann' };
const SCOPES = [
  { type: 'repository', name: 'host.test:5000/acme/app', actions: ['pull', 'push'] },
  { type: 'repository', class: 'plugin', name: 'acme/plugin', actions: [] },
];

const issue = async ({ tokens }: Node, subject: Subject = ANN): Promise<string> =>
  (await tokens.issue({ subject, fingerprint: 'f1', scopes: SCOPES, audience: AUDIENCE })).token;

describe('a token of our own', () => {
  const claims = Object.assign(Object.create(null) as Record<string, readonly string[]>, {
    repository_owner: ['acme'],
    ['__proto__']: ['x'],
  });

  test.each<[string, Subject]>([
    ['nobody', ANYONE],
    ['a user', ANN],
    ['a machine token', { kind: 'token', name: 'ci', id: 'a1' }],
    ['somebody else’s sign-in', { kind: 'oidc', issuer: 'github', id: 'repo:acme/app:ref:refs/heads/main', claims }],
    ['a user with an odd name', { kind: 'user', name: '"\\ü\0:*' }],
  ])('says again what was put into it: %s', async (_what, subject) => {
    const node = startNode();
    const token = await issue(node, subject);
    expect(await node.tokens.isOne(token)).toBe(true);
    expect(await node.tokens.verify(token, AUDIENCE)).toEqual({ identity: { subject, scopes: SCOPES }, fingerprint: 'f1' });
    // And once more, from memory.
    expect((await node.tokens.verify(token, AUDIENCE))?.identity).toEqual({ subject, scopes: SCOPES });
  });

  test('carries what the specification asks for, and no secret', async () => {
    const node = startNode();
    const { header, claims: said } = opened(await issue(node));
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT', kid: expect.stringMatching(/^[0-9a-f]{32}$/) as string });
    const seconds = START / 1000;
    expect(said).toMatchObject({ iss: 'entrepot', sub: 'user:ann', aud: AUDIENCE, iat: seconds, nbf: seconds });
    expect(said).toMatchObject({ exp: seconds + 900, jti: expect.stringMatching(/^[0-9a-f]{32}$/) as string, access: SCOPES });
  });

  test('no two are the same', async () => {
    const node = startNode();
    expect(await issue(node)).not.toBe(await issue(node));
  });

  test('is good until it ends, and not for another Host', async () => {
    const node = startNode();
    const token = await issue(node);
    expect(await node.tokens.verify(token, 'other.test')).toBeUndefined();
    expect(await node.tokens.verify(token, AUDIENCE)).toBeDefined();
    expect(await node.tokens.verify(token, 'other.test')).toBeUndefined();
    await node.clock.advance(900_000 - 1);
    expect(await node.tokens.verify(token, AUDIENCE)).toBeDefined();
    await node.clock.advance(1);
    expect(await node.tokens.verify(token, AUDIENCE)).toBeUndefined();
    // It is still one of ours: nobody else is asked about it.
    expect(await node.tokens.isOne(token)).toBe(true);
  });

  test('is good though the clock of whoever issued it is a minute ahead, and no more', async () => {
    const store = emptyStore();
    const [ahead, behind] = [startNode(store, 1), startNode(store, 2)];
    ahead.clock.jump(MINUTE);
    expect(await behind.tokens.verify(await issue(ahead), AUDIENCE)).toBeDefined();
    ahead.clock.jump(1000);
    expect(await behind.tokens.verify(await issue(ahead), AUDIENCE)).toBeUndefined();
  });

  test.each([59, 3601, Number.NaN])('a lifetime of %d seconds is refused', (lifetimeSeconds) => {
    const { keys, clock } = startNode();
    const random = createSeededRandom(1);
    expect(() => createOwnTokens({ keys, clock, random, lifetimeSeconds })).toThrow('60 to 3600 seconds');
  });

  test('is verified once, and then known by its hash', async () => {
    const node = startNode();
    const token = await issue(node);
    const first = await node.tokens.verify(token, AUDIENCE);
    const began = performance.now();
    for (let at = 0; at < 1000; at += 1) await node.tokens.verify(token, AUDIENCE);
    // Microseconds each; a signature takes tens. The limit is for a machine that has much else to do.
    expect((performance.now() - began) / 1000).toBeLessThan(0.5);
    expect((await node.tokens.verify(token, AUDIENCE))?.identity.subject).toBe(first?.identity.subject);
  });
});

describe('the keys', () => {
  test('fifty first tokens at once make one key', async () => {
    const node = startNode(emptyStore());
    const tokens = await Promise.all(Array.from({ length: 50 }, () => issue(node)));
    expect(new Set(tokens.map((token) => opened(token).header['kid'])).size).toBe(1);
    expect(await node.records.signingKeys.all()).toHaveLength(1);
  });

  test('five nodes that begin at once take the key of the first', async () => {
    const store = emptyStore();
    const nodes = [1, 2, 3, 4, 5].map((seed) => startNode(store, seed));
    const tokens = await Promise.all(nodes.flatMap((node) => Array.from({ length: 10 }, () => issue(node))));
    expect(new Set(tokens.map((token) => opened(token).header['kid'])).size).toBe(1);
    for (const node of nodes) for (const token of tokens) expect(await node.tokens.verify(token, AUDIENCE)).toBeDefined();
  });

  test('are new after thirty days, on all nodes; what the old one has signed is good to its end', async () => {
    const store = emptyStore();
    const clock = startNode().clock;
    const [one, two] = [startNode(store, 1, clock, 3600), startNode(store, 2, clock, 3600)];
    const first = opened(await issue(one)).header['kid'];
    await clock.advance(30 * DAY - 1);
    const last = await issue(two);
    expect(opened(last).header['kid']).toBe(first);
    await clock.advance(1);
    const next = await issue(one);
    expect(opened(next).header['kid']).not.toBe(first);
    expect(opened(await issue(two)).header['kid']).toBe(opened(next).header['kid']);
    expect(await one.tokens.verify(last, AUDIENCE)).toBeDefined();
    // A token counts in whole seconds, and from the one that has begun.
    await clock.advance(60 * MINUTE - 1001);
    expect(await two.tokens.verify(last, AUDIENCE)).toBeDefined();
    await clock.advance(61 * MINUTE);
    // The key is no longer one of ours, whatever somebody has signed with it since.
    expect(await two.tokens.isOne(last)).toBe(false);
    await clock.advance(30 * DAY);
    await issue(one);
    expect(await one.records.signingKeys.all()).toHaveLength(1);
  });

  test('a node learns of a new key as soon as somebody comes with it', async () => {
    const store = emptyStore();
    const [one, two] = [startNode(store, 1), startNode(store, 2)];
    expect(await two.tokens.verify(await issue(one), AUDIENCE)).toBeDefined();
  });

  test('forged key ids make us read once a second, and no more', async () => {
    const node = startNode(emptyStore());
    const token = await issue(node);
    const [, claims, signature] = token.split('.');
    const forged = (at: number): string => {
      const header = { alg: 'HS256', kid: at.toString(16).padStart(32, '0') };
      return [Buffer.from(JSON.stringify(header)).toString('base64url'), claims, signature].join('.');
    };
    const before = node.keyReads();
    for (let at = 0; at < 100; at += 1) {
      expect(await node.tokens.isOne(forged(at))).toBe(false);
      expect(await node.tokens.verify(forged(at), AUDIENCE)).toBeUndefined();
    }
    expect(node.keyReads() - before).toBe(1);
    await node.clock.advance(1000);
    await Promise.all(Array.from({ length: 50 }, (_, at) => node.tokens.isOne(forged(1000 + at))));
    expect(node.keyReads() - before).toBe(2);
    // Those that are no ids of ours never do.
    await node.clock.advance(1000);
    for (const kid of ['../../dev/null', "' OR 1=1", '', 'A'.repeat(32)])
      await node.tokens.isOne(
        [Buffer.from(JSON.stringify({ alg: 'HS256', kid })).toString('base64url'), claims, 'x'].join('.'),
      );
    expect(node.keyReads() - before).toBe(2);
    expect(await node.tokens.verify(token, AUDIENCE)).toBeDefined();
  });

  test('go on while the store cannot be asked, and are looked for in it once a minute', async () => {
    const store = emptyStore();
    const node = startNode(store);
    const token = await issue(node);
    store.setDown(true);
    await node.clock.advance(5 * MINUTE);
    expect(await node.tokens.verify(token, AUDIENCE)).toBeDefined();
    expect(opened(await issue(node)).header['kid']).toBe(opened(token).header['kid']);
    // Nobody knows whether another's key is one of ours.
    await expect(startNode(store, 2).tokens.isOne(token)).rejects.toThrow('switched off');
    await expect(issue(startNode(store, 2))).rejects.toThrow('switched off');
    store.setDown(false);
    expect(await startNode(store, 3).tokens.isOne(token)).toBe(true);
  });

  test('are made anew where the store was emptied, so that all nodes have the same again', async () => {
    const store = emptyStore();
    const node = startNode(store);
    const token = await issue(node);
    store.crash();
    await node.clock.advance(MINUTE);
    const next = await issue(node);
    expect(opened(next).header['kid']).not.toBe(opened(token).header['kid']);
    expect(await startNode(store, 2, node.clock).tokens.verify(next, AUDIENCE)).toBeDefined();
  });

  test('of a clock that was far ahead are not signed with', async () => {
    const store = emptyStore();
    const wrong = startNode(store, 1);
    wrong.clock.jump(400 * DAY);
    const token = await issue(wrong);
    const right = startNode(store, 2);
    expect(await right.tokens.isOne(token)).toBe(false);
    expect(await right.tokens.verify(await issue(right), AUDIENCE)).toBeDefined();
  });

  test('that cannot be read are replaced', async () => {
    const store = emptyStore();
    await store.commit('signing', [{ key: ['keys', 'it'], value: Buffer.from('{"keys":[{"id":1}]}') }]);
    const node = startNode(store);
    expect(await node.tokens.verify(await issue(node), AUDIENCE)).toBeDefined();
    const short = { id: 'a'.repeat(32), secret: 'c2hvcnQ', at: START };
    await node.records.signingKeys.replace(await node.records.signingKeys.all(), [short]);
    const other = startNode(store, 2);
    expect(opened(await issue(other)).header['kid']).not.toBe(short.id);
  });
});
