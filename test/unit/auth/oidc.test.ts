import { beforeEach, describe, expect, test } from 'vitest';
import { CLAIMS_LENGTH_MAX } from '../../../src/auth/claims.ts';
import { createSignInTokens } from '../../../src/auth/oidc.ts';
import { subjectText, type Subject } from '../../../src/auth/subject.ts';
import type { SignInTokens } from '../../../src/auth/ways.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { ecKeys, es256, forge, jwkOf, rs256, rsaKeys, type Keys } from './forge.ts';
import { AUDIENCE, MINUTE, START } from './token-house.ts';

const SECONDS = START / 1000;
const GITHUB = 'https://token.actions.githubusercontent.com';
const GITLAB = 'https://gitlab.example.test';
const CLUSTER = 'https://kubernetes.default.svc.cluster.local';
const keys = rsaKeys();

/** As each of them writes its tokens, with made-up names. */
const OF_GITHUB = {
  jti: 'a1',
  sub: 'repo:acme/app:ref:refs/heads/main',
  aud: AUDIENCE,
  ref: 'refs/heads/main',
  sha: '0123456789012345678901234567890123456789',
  repository: 'acme/app',
  repository_owner: 'acme',
  repository_owner_id: '65',
  run_id: '42',
  run_attempt: '1',
  actor: 'ann',
  workflow: 'CI',
  event_name: 'push',
  ref_type: 'branch',
  job_workflow_ref: 'acme/app/.github/workflows/ci.yml@refs/heads/main',
  runner_environment: 'github-hosted',
  iss: GITHUB,
  nbf: SECONDS - 5,
  exp: SECONDS + 300,
  iat: SECONDS,
};
const OF_GITLAB = {
  namespace_id: '72',
  namespace_path: 'acme',
  project_id: '20',
  project_path: 'acme/app',
  user_login: 'ann',
  user_access_level: 'developer',
  user_identities: [{ provider: 'github', extern_uid: '2435223452345' }],
  groups_direct: ['acme', 'acme/platform'],
  pipeline_source: 'push',
  ref: 'main',
  ref_protected: 'true',
  runner_id: 1,
  ci_config_sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
  jti: 'b2',
  iss: GITLAB,
  iat: SECONDS,
  nbf: SECONDS - 5,
  exp: SECONDS + 3600,
  sub: 'project_path:acme/app:ref_type:branch:ref:main',
  aud: AUDIENCE,
};
const OF_KUBERNETES = {
  aud: [AUDIENCE],
  exp: SECONDS + 31_536_000,
  iat: SECONDS,
  iss: CLUSTER,
  jti: 'c3',
  'kubernetes.io': { namespace: 'ci', pod: { name: 'build-1', uid: 'u1' }, serviceaccount: { name: 'builder', uid: 'u2' } },
  nbf: SECONDS,
  sub: 'system:serviceaccount:ci:builder',
};

const token = (claims: object, kid = 'k1', by: Keys = keys): string =>
  forge({ alg: 'RS256', kid, typ: 'JWT' }, claims, rs256(by));

describe('a sign-in token', () => {
  let clock: FakeClock;
  let asked: string[];
  let published: unknown[];
  let discovery: Record<string, unknown>;
  let isDown: boolean;
  let fileOfCluster: string;
  let tokens: SignInTokens;

  beforeEach(() => {
    clock = createFakeClock(START);
    asked = [];
    published = [jwkOf(keys, { kid: 'k1', use: 'sig', alg: 'RS256' })];
    discovery = {};
    isDown = false;
    fileOfCluster = JSON.stringify({ keys: published });
    tokens = createSignInTokens({
      issuers: [
        { name: 'github', issuer: GITHUB, audience: AUDIENCE },
        { name: 'gitlab', issuer: GITLAB, audience: AUDIENCE },
        { name: 'staging', issuer: GITHUB, audience: 'staging.test' },
        { name: 'k8s', issuer: CLUSTER, audience: AUDIENCE, jwks: async () => fileOfCluster },
      ],
      clock,
      fetchJson: async (url) => {
        asked.push(url);
        await Promise.resolve();
        if (isDown) throw new Error(`${new URL(url).host} answered 503`);
        const issuer = new URL(url).origin;
        if (url.endsWith('/.well-known/openid-configuration')) return { issuer, jwks_uri: `${issuer}/keys`, ...discovery };
        return { keys: published };
      },
    });
  });

  test.each<[string, object, string, Record<string, readonly string[]>]>([
    ['github', OF_GITHUB, 'oidc:github:repo:acme/app:ref:refs/heads/main', { repository_owner: ['acme'], aud: [AUDIENCE] }],
    [
      'gitlab',
      OF_GITLAB,
      'oidc:gitlab:project_path:acme/app:ref_type:branch:ref:main',
      { groups_direct: ['acme', 'acme/platform'], runner_id: ['1'], ref_protected: ['true'] },
    ],
    ['k8s', OF_KUBERNETES, 'oidc:k8s:system:serviceaccount:ci:builder', { sub: ['system:serviceaccount:ci:builder'] }],
  ])('of %s says who, with the claims that rules ask for', async (_name, claims, text, expected) => {
    expect(tokens.isOne(token(claims))).toBe(true);
    const subject = (await tokens.verify(token(claims))) as Extract<Subject, { kind: 'oidc' }>;
    expect(subjectText(subject)).toBe(text);
    expect(subject.claims).toMatchObject(expected);
    // Nothing nested, and nothing that only this one token has.
    for (const name of ['user_identities', 'kubernetes.io', 'exp', 'iat', 'nbf', 'jti'])
      expect(subject.claims).not.toHaveProperty(name);
    expect(Object.getPrototypeOf(subject.claims)).toBeNull();
  });

  test('of one that is not written down is not one, and nobody is asked', async () => {
    for (const text of [
      token({ ...OF_GITHUB, iss: 'https://evil.test' }),
      token({ ...OF_GITHUB, iss: [GITHUB] }),
      'x',
      'a.b.c',
    ]) {
      expect(tokens.isOne(text)).toBe(false);
      expect(await tokens.verify(text)).toBeUndefined();
    }
    expect(asked).toEqual([]);
  });

  test('is told apart by its audience where an issuer has two names', async () => {
    expect(await tokens.verify(token({ ...OF_GITHUB, aud: 'staging.test' }))).toMatchObject({ issuer: 'staging' });
    expect(await tokens.verify(token({ ...OF_GITHUB, aud: AUDIENCE }))).toMatchObject({ issuer: 'github' });
    expect(await tokens.verify(token({ ...OF_GITHUB, aud: 'else.test' }))).toBeUndefined();
  });

  test.each([
    ['no sub', { sub: undefined }],
    ['an empty sub', { sub: '' }],
    ['a sub of two kilobytes', { sub: 'x'.repeat(2048) }],
  ])('with %s is nobody’s', async (_what, changed) => {
    expect(await tokens.verify(token({ ...OF_GITHUB, ...changed }))).toBeUndefined();
  });

  test('has claims of four kilobytes at most, of which the longest go', async () => {
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`claim${at}`, 'x'.repeat(at)]));
    const subject = (await tokens.verify(token({ ...OF_GITLAB, ...many }))) as Extract<Subject, { kind: 'oidc' }>;
    const length = Object.entries(subject.claims).reduce((sum, [name, texts]) => sum + name.length + texts.join('').length, 0);
    expect(length).toBeLessThanOrEqual(CLAIMS_LENGTH_MAX);
    expect(length).toBeGreaterThan(CLAIMS_LENGTH_MAX - 200);
    expect(subject.claims).toHaveProperty('namespace_path');
    expect(subject.claims).not.toHaveProperty('claim119');
  });

  test('cannot bring what every object has', async () => {
    const claims = JSON.stringify(OF_GITHUB).replace('{', '{"__proto__":{"polluted":"yes"},"constructor":"x",');
    const forged = forge({ alg: 'RS256', kid: 'k1' }, claims, rs256(keys));
    const subject = (await tokens.verify(forged)) as Extract<Subject, { kind: 'oidc' }>;
    expect(subject.claims['constructor']).toEqual(['x']);
    expect(subject.claims['polluted']).toBeUndefined();
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  describe('whose issuer', () => {
    test('is asked once, however many come', async () => {
      const all = Array.from({ length: 50 }, (_, at) => token({ ...OF_GITHUB, run_id: String(at) }));
      for (const found of await Promise.all(all.map((one) => tokens.verify(one)))) expect(found).toBeDefined();
      expect(asked).toEqual([`${GITHUB}/.well-known/openid-configuration`, `${GITHUB}/keys`]);
    });

    test('has a new key is asked again, once a minute', async () => {
      await tokens.verify(token(OF_GITHUB));
      const next = ecKeys();
      published = [jwkOf(next, { kid: 'k2' })];
      const fresh = forge({ alg: 'ES256', kid: 'k2' }, OF_GITHUB, es256(next));
      await clock.advance(MINUTE - 1);
      expect(await tokens.verify(fresh)).toBeUndefined();
      await clock.advance(1);
      for (let at = 0; at < 50; at += 1) await tokens.verify(token(OF_GITHUB, `made-up-${at}`));
      expect(asked.filter((url) => url.endsWith('/keys'))).toHaveLength(2);
      expect(await tokens.verify(fresh)).toBeDefined();
      // What it has taken away is good no more, once the last five minutes are over.
      expect(await tokens.verify(token({ ...OF_GITHUB, run_id: 'x' }))).toBeUndefined();
      await clock.advance(5 * MINUTE);
      expect(await tokens.verify(token({ ...OF_GITHUB }))).toBeUndefined();
    });

    test('takes a key away is believed within the hour', async () => {
      const long = { ...OF_GITLAB, exp: SECONDS + 100_000 };
      expect(await tokens.verify(token(long))).toBeDefined();
      published = [];
      await clock.advance(59 * MINUTE);
      expect(await tokens.verify(token(long))).toBeDefined();
      await clock.advance(6 * MINUTE);
      expect(await tokens.verify(token(long))).toBeUndefined();
    });

    test('is down: what it said last holds, and it is asked once a minute', async () => {
      const long = { ...OF_GITLAB, exp: SECONDS + 100_000 };
      await tokens.verify(token(long));
      isDown = true;
      for (let hour = 0; hour < 5; hour += 1) {
        await clock.advance(60 * MINUTE);
        expect(await tokens.verify(token({ ...long, hour }))).toBeDefined();
        expect(await tokens.verify(token({ ...long, hour, again: 1 }))).toBeDefined();
      }
      expect(asked.filter((url) => url.endsWith('/openid-configuration'))).toHaveLength(1 + 5);
    });

    test('was never there: that is said, and not that the token is wrong; it is asked again after five seconds', async () => {
      isDown = true;
      const failing = tokens.verify(token(OF_GITHUB));
      await expect(failing).rejects.toMatchObject({ status: 503, code: 'UNAVAILABLE' });
      await expect(failing).rejects.toThrow(
        'the keys of the issuer github cannot be had: token.actions.githubusercontent.com answered 503',
      );
      isDown = false;
      await expect(tokens.verify(token(OF_GITHUB))).rejects.toThrow('could not be asked a moment ago');
      expect(asked).toHaveLength(1);
      await clock.advance(5000);
      expect(await tokens.verify(token(OF_GITHUB))).toBeDefined();
    });

    test('never answers is given up', async () => {
      const silent = createSignInTokens({
        issuers: [{ name: 'github', issuer: GITHUB, audience: AUDIENCE }],
        clock,
        fetchJson: () => new Promise(() => undefined),
      });
      const failure = silent.verify(token(OF_GITHUB)).catch((error: unknown) => error);
      await clock.advance(20_000);
      expect(String(await failure)).toContain('no answer within 20000 ms');
      expect(clock.pending()).toBe(0);
    });

    test.each<[string, Record<string, unknown>, string]>([
      ['names another issuer', { issuer: 'https://evil.test' }, 'another issuer than itself'],
      ['has its name with a slash', { issuer: `${GITHUB}/` }, 'another issuer than itself'],
      ['has its keys elsewhere', { jwks_uri: 'https://evil.test/keys' }, 'not at its own host'],
      ['has its keys at an address that is not https', { jwks_uri: GITHUB.replace('https', 'http') }, 'not at its own host'],
      ['has no keys', { jwks_uri: undefined }, 'not at its own host'],
      ['has a file for keys', { jwks_uri: 'file:///etc/passwd' }, 'not at its own host'],
    ])('%s is not believed', async (_what, changed, why) => {
      discovery = changed;
      await expect(tokens.verify(token(OF_GITHUB))).rejects.toThrow(why);
      expect(asked).toHaveLength(1);
    });

    test('has its keys in a file: they are as the file is, and a wrong one is not quoted', async () => {
      const next = rsaKeys();
      expect(await tokens.verify(token(OF_KUBERNETES))).toBeDefined();
      fileOfCluster = JSON.stringify({ keys: [jwkOf(next, { kid: 'k9' })] });
      await clock.advance(MINUTE);
      expect(await tokens.verify(token(OF_KUBERNETES, 'k9', next))).toBeDefined();
      fileOfCluster = 'password: secret';
      const fresh = createSignInTokens({
        issuers: [{ name: 'k8s', issuer: CLUSTER, audience: AUDIENCE, jwks: async () => fileOfCluster }],
        clock,
        fetchJson: () => Promise.reject(new Error('nobody is asked')),
      });
      await expect(fresh.verify(token(OF_KUBERNETES))).rejects.toThrow(
        /^the keys of the issuer k8s cannot be had: what it has is no JSON Web Key Set$/,
      );
      expect(asked).toEqual([]);
    });
  });
});
