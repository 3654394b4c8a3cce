import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { createForeignTokens } from '../../src/auth/foreign-tokens.ts';
import { readUnproven, TOKEN_LENGTH_MAX } from '../../src/auth/jwt.ts';
import { createSignInTokens } from '../../src/auth/oidc.ts';
import { createTokenEndpoint } from '../../src/auth/token-endpoint.ts';
import { createRefreshTokens } from '../../src/auth/refresh-tokens.ts';
import { readTrustedKeys } from '../../src/auth/trusted-keys.ts';
import { RegistryError } from '../../src/oci/errors.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { ecKeys, es256, forge, jwkOf } from '../unit/auth/forge.ts';
import { AUDIENCE, START, startNode } from '../unit/auth/token-house.ts';

/** The whole run is `ENTREPOT_ACCEPT=full`. */
const RUNS = process.env['ENTREPOT_ACCEPT'] === 'full' ? 100_000 : 1000;
vi.setConfig({ testTimeout: RUNS > 1000 ? 900_000 : 60_000 });

const ISSUER = 'https://issuer.test';
const keys = ecKeys();
const SECONDS = START / 1000;
const CLAIMS = { iss: ISSUER, sub: 'ann', aud: AUDIENCE, exp: SECONDS + 900, iat: SECONDS, nbf: SECONDS, access: [] };
const jwks = { keys: [jwkOf(keys, { kid: 'k1' })] };
const node = startNode();
const clock = createFakeClock(START);

const read = readTrustedKeys({ jwks: JSON.stringify(jwks) });
if (read.kind === 'fault') throw new Error(read.reason);
const foreign = createForeignTokens({ issuer: ISSUER, service: AUDIENCE, keys: read.keys, clock });
const signIn = createSignInTokens({
  issuers: [{ name: 'ci', issuer: ISSUER, audience: AUDIENCE }],
  clock,
  fetchJson: async (url) => (url.endsWith('/jwks') ? jwks : { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` }),
});

/** What a change may put into a text. */
const piece = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom('.', '=', '-', '_', 'A', 'eyJhbGciOiJub25lIn0', '{}', '"', '\0', 'é', '..'),
);
/** A text, changed at some places. */
const changed = (text: string) =>
  fc
    .array(fc.tuple(fc.nat(text.length), fc.nat(12), piece), { minLength: 1, maxLength: 4 })
    .map((changes) => changes.reduce((now, [at, gone, put]) => `${now.slice(0, at)}${put}${now.slice(at + gone)}`, text));

const partsOf = (token: string): Buffer[] => token.split('.').map((part) => Buffer.from(part, 'base64url'));

describe('a token that was changed', () => {
  let ours: string;
  beforeAll(async () => {
    const subject = { kind: 'user', name: 'ann' } as const;
    ours = (await node.tokens.issue({ subject, fingerprint: 'f', scopes: [], audience: AUDIENCE })).token;
  });
  const theirs = forge({ alg: 'ES256', kid: 'k1' }, CLAIMS, es256(keys));

  test.each([
    ['of our own', () => ours, (token: string) => node.tokens.verify(token, AUDIENCE)],
    ['of auth.token', () => theirs, (token: string) => foreign.verify(token)],
    ['of auth.oidc', () => theirs, (token: string) => signIn.verify(token)],
  ] as const)('says nothing, or what it said: %s', async (_what, good, verify) => {
    const meant = await verify(good());
    expect(meant).toBeDefined();
    await fc.assert(
      fc.asyncProperty(changed(good()), async (token) => {
        // The last bits of base64 may say nothing, so that two texts are one token.
        const isSame = isDeepStrictEqual(partsOf(token), partsOf(good()));
        expect([undefined, isSame ? meant : undefined]).toContainEqual(await verify(token));
      }),
      { numRuns: RUNS },
    );
  });

  test('and header and claims of any JSON at all, well signed, are read without a fault', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.json(), fc.boolean(), async (header, claims, isKnown) => {
        const first: unknown = isKnown ? { alg: 'ES256', kid: 'k1' } : header;
        const token = forge(first, claims, es256(keys));
        readUnproven(token);
        expect(await node.tokens.verify(token, AUDIENCE)).toBeUndefined();
        expect(await foreign.verify(token)).toBeUndefined();
        expect(signIn.isOne(token)).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  test('and claims of any JSON in the place of a good one are refused, or taken for what they are', async () => {
    const name = fc.constantFrom('iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'access');
    await fc.assert(
      fc.asyncProperty(name, fc.jsonValue(), async (claim, value) => {
        const token = forge({ alg: 'ES256', kid: 'k1' }, { ...CLAIMS, [claim]: value }, es256(keys));
        const identity = await foreign.verify(token);
        if (identity === undefined) return;
        expect(['anyone', 'user']).toContain(identity.subject.kind);
        expect(Array.isArray(identity.scopes)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('what is no token', () => {
  test('is read in time that grows with its length, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), piece), fc.integer({ min: 1, max: TOKEN_LENGTH_MAX }), (unit, times) => {
        const text = unit.repeat(Math.ceil(times / Math.max(1, unit.length)));
        expect(readUnproven(text)).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test('at the token endpoint is refused in words, whatever it is', async () => {
    const stands = async (): Promise<boolean> => true;
    const random = createSeededRandom(3);
    const endpoint = createTokenEndpoint({
      passwords: undefined,
      machineTokens: undefined,
      signInTokens: signIn,
      own: node.tokens,
      refresh: createRefreshTokens({ records: node.records.refreshTokens, clock, random, stands, isMissing: () => false }),
      path: '/token',
      anyoneMayPull: () => false,
      passesOn: () => undefined,
      report: () => undefined,
    });
    const word = fc.oneof(piece, fc.constantFrom('password', 'refresh_token', 'true', 'offline', 'repository:a:pull'));
    const names = ['grant_type', 'username', 'password', 'refresh_token', 'scope', 'service', 'access_type', 'offline_token'];
    const pairs = fc.array(fc.tuple(fc.constantFrom(...names), word), { maxLength: 8 });
    const authorization = fc.option(
      fc.oneof(
        piece,
        piece.map((text) => `Basic ${text}`),
        piece.map((text) => `Bearer ${text}`),
      ),
      {
        nil: undefined,
      },
    );
    await fc.assert(
      fc.asyncProperty(pairs, authorization, fc.constantFrom('GET' as const, 'POST' as const), async (given, field, method) => {
        const parameters = new URLSearchParams(given);
        const asking = {
          authorization: field,
          host: AUDIENCE,
          publicUrl: `https://${AUDIENCE}`,
          client: '::1',
          certificate: undefined,
          requestId: 'r1',
        };
        const status = await endpoint({ ...asking, parameters, method }).then(
          (answer) => answer.status,
          (error: unknown) => (error instanceof RegistryError ? error.status : error),
        );
        const mayBe = method === 'POST' || field !== undefined ? [400, 401] : [200, 400];
        expect(mayBe).toContain(status);
      }),
      { numRuns: RUNS },
    );
  });
});
