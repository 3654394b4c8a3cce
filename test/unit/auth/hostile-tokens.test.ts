import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createForeignTokens } from '../../../src/auth/foreign-tokens.ts';
import { createSignInTokens } from '../../../src/auth/oidc.ts';
import { readTrustedKeys } from '../../../src/auth/trusted-keys.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { forge, hs256, jwkOf, rs256, rsaKeys, unsigned, type Signer } from './forge.ts';
import { AUDIENCE, START, startNode } from './token-house.ts';

/** Whoever verifies tokens, with a token that it takes. */
interface Verifier {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly signer: Signer;
  /** The key that anybody may know; of a secret nobody may. */
  readonly publicTexts: readonly string[];
  verify(token: string): Promise<unknown>;
}

const ours = rsaKeys();
const theirs = rsaKeys();
const SECONDS = START / 1000;
const ISSUER = 'https://issuer.test';
const asked: string[] = [];

const times = { exp: SECONDS + 900, nbf: SECONDS, iat: SECONDS, jti: 'j1' };
const access = [{ type: 'repository', name: 'acme/app', actions: ['pull'] }];
const publicTexts = [
  ours.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  ours.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
  JSON.stringify(jwkOf(ours)),
  String(jwkOf(ours)['n']),
];

async function own(): Promise<Verifier> {
  const { records, keys, tokens } = startNode();
  await keys.current();
  const [key] = await records.signingKeys.all();
  if (key === undefined) throw new Error('there is a key');
  const subject = { kind: 'user', name: 'ann' };
  return {
    header: { alg: 'HS256', typ: 'JWT', kid: key.id },
    claims: { iss: 'entrepot', sub: 'user:ann', aud: AUDIENCE, ...times, access, subject, fingerprint: 'f1' },
    signer: hs256(Buffer.from(key.secret, 'base64url')),
    publicTexts: ['', key.id],
    verify: (token) => tokens.verify(token, AUDIENCE),
  };
}

async function foreign(): Promise<Verifier> {
  const jwks = JSON.stringify({ keys: [jwkOf(ours, { kid: 'known' }), jwkOf(rsaKeys(), { kid: 'other' })] });
  const read = readTrustedKeys({ jwks });
  if (read.kind === 'fault') throw new Error(read.reason);
  const tokens = createForeignTokens({ issuer: ISSUER, service: AUDIENCE, keys: read.keys, clock: createFakeClock(START) });
  return {
    header: { alg: 'RS256', typ: 'JWT', kid: 'known' },
    claims: { iss: ISSUER, sub: 'ann', aud: AUDIENCE, ...times, access },
    signer: rs256(ours),
    publicTexts,
    verify: (token) => tokens.verify(token),
  };
}

async function signIn(): Promise<Verifier> {
  const tokens = createSignInTokens({
    issuers: [{ name: 'ci', issuer: ISSUER, audience: AUDIENCE }],
    clock: createFakeClock(START),
    fetchJson: async (url) => {
      asked.push(url);
      if (url.endsWith('/jwks')) return { keys: [jwkOf(ours, { kid: 'known' }), jwkOf(rsaKeys(), { kid: 'other' })] };
      return { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` };
    },
  });
  return {
    header: { alg: 'RS256', typ: 'JWT', kid: 'known' },
    claims: { iss: ISSUER, sub: 'repo:acme/app', aud: AUDIENCE, ...times },
    signer: rs256(ours),
    publicTexts,
    verify: (token) => tokens.verify(token),
  };
}

let canary: Server;
let canaryUrl: string;
let hits = 0;
beforeAll(async () => {
  canary = createServer((_request, response) => {
    hits += 1;
    response.end(JSON.stringify({ keys: [jwkOf(theirs, { kid: 'known' })] }));
  });
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
  canaryUrl = `http://127.0.0.1:${(canary.address() as AddressInfo).port}/jwks`;
});
afterAll(async () => {
  await new Promise((resolve) => canary.close(resolve));
  expect(hits).toBe(0);
});

type Make = (good: Verifier) => string | readonly string[];

const withClaims =
  (changed: Record<string, unknown>): Make =>
  ({ header, claims, signer }) =>
    forge(header, { ...claims, ...changed }, signer);
const withHeader =
  (changed: Record<string, unknown>, signer?: Signer): Make =>
  (good) =>
    forge({ ...good.header, ...changed }, good.claims, signer ?? good.signer);
/** As JSON text, in which a number may be anything. */
const withNumber =
  (name: string, number: string): Make =>
  ({ header, claims, signer }) =>
    forge(header, JSON.stringify({ ...claims, [name]: '@' }).replace('"@"', number), signer);
const without =
  (...names: string[]): Make =>
  ({ header, claims, signer }) =>
    forge(header, Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name))), signer);
const goodOf = ({ header, claims, signer }: Verifier): string => forge(header, claims, signer);

const HOSTILE: readonly (readonly [string, Make])[] = [
  // S34: algorithms.
  ...['none', 'None', 'NONE', 'nOnE', '', 'HS256 ', 'RS1'].flatMap((alg): (readonly [string, Make])[] => [
    [`alg ${alg}, unsigned`, withHeader({ alg }, unsigned)],
    [`alg ${alg}, signed as it was`, withHeader({ alg })],
  ]),
  ['no alg', ({ header: { alg: _alg, ...header }, claims, signer }) => forge(header, claims, signer)],
  ['alg as a list', withHeader({ alg: ['RS256', 'HS256'] })],
  [
    'HS256, signed with what anybody knows of the key [CVE-2026-22817] [GHSA-f67f-6cw9-8mq4]',
    (good) => good.publicTexts.map((text) => forge({ ...good.header, alg: 'HS256' }, good.claims, hs256(text))),
  ],
  ['HS256, signed with nothing', withHeader({ alg: 'HS256' }, hs256(''))],
  ['RS256, signed with another key', withHeader({ alg: 'RS256' }, rs256(theirs))],
  // S34: keys that a token brings or says where they are.
  [
    'a jwk of its own with a kid that is known [CVE-2025-24976] [GHSA-phw4-mc57-4hwc]',
    (good) => brought(good, { jwk: jwkOf(theirs, { kid: good.header['kid'] }) }),
  ],
  [
    'a jwk of its own and no kid beside it',
    (good) => brought({ ...good, header: {} }, { jwk: jwkOf(theirs, { kid: good.header['kid'] }) }),
  ],
  ['a shared secret as jwk', withHeader({ alg: 'HS256', jwk: { kty: 'oct', k: 'eA', kid: 'known' } }, hs256('x'))],
  ['a jku', (good) => brought(good, { jku: canaryUrl })],
  ['an x5u', (good) => brought(good, { x5u: canaryUrl })],
  ['a jku beside a good signature', (good) => forge({ ...good.header, jku: canaryUrl }, good.claims, good.signer)],
  [
    'an x5c that is none',
    (good) => [brought(good, { x5c: ['AAAA'] }), brought(good, { x5c: [] }), brought(good, { x5c: 'x' })],
  ],
  // S34: a kid is looked up, and is nothing else.
  ...['../../dev/null', "' OR 1=1", '__proto__', 'constructor', '', 'other', 'KNOWN'].map((kid): readonly [string, Make] => [
    `kid ${kid}`,
    (good) => [
      forge({ ...good.header, kid }, good.claims, good.signer),
      forge({ ...good.header, kid, alg: 'HS256' }, good.claims, hs256('')),
    ],
  ]),
  [
    'a kid that is no text',
    (good) => [1, null, ['known'], { kid: 'known' }].map((kid) => forge({ ...good.header, kid }, good.claims, good.signer)),
  ],
  ['no kid', ({ header: { kid: _kid, ...header }, claims, signer }) => forge(header, claims, signer)],
  // S34: what has to be understood, and is not.
  ['crit', withHeader({ crit: ['exp'], exp: 1 })],
  ['b64', withHeader({ b64: false, crit: ['b64'] })],
  // S34, S35: times.
  ['exp as text [CVE-2026-44459] [GHSA-hm8q-7f3q-5f36]', withClaims({ exp: '9999999999' })],
  ...['1e400', '-1e400', '-1', 'null', '[9999999999]', 'true', '{}'].map((number): readonly [string, Make] => [
    `exp ${number}`,
    withNumber('exp', number),
  ]),
  ['iat 1e400', withNumber('iat', '1e400')],
  ['iat as text', withClaims({ iat: String(SECONDS) })],
  ['nbf as text', withClaims({ nbf: String(SECONDS) })],
  ['nbf 1e400', withNumber('nbf', '1e400')],
  ['nbf -1e400', withNumber('nbf', '-1e400')],
  ['expired', withClaims({ exp: SECONDS - 61, iat: SECONDS - 961, nbf: SECONDS - 961 })],
  ['not yet', withClaims({ nbf: SECONDS + 61 })],
  ['issued in the future', withClaims({ iat: SECONDS + 61 })],
  ['no exp', without('exp')],
  ['no iat', without('iat')],
  // S35: for somebody else, of somebody else.
  ['another audience', withClaims({ aud: 'registry.test' })],
  ['an audience that begins with ours', withClaims({ aud: `${AUDIENCE}.evil.test` })],
  ['ours among what is no text', withClaims({ aud: [AUDIENCE, 1] })],
  ['an audience in an audience', withClaims({ aud: [[AUDIENCE]] })],
  ['no audience', without('aud')],
  ['an empty list of audiences', withClaims({ aud: [] })],
  ['another issuer', withClaims({ iss: `${ISSUER}/` })],
  ['an issuer in a list', (good) => forge(good.header, { ...good.claims, iss: [good.claims['iss']] }, good.signer)],
  ['no issuer', without('iss')],
  ['a subject that is no text', withClaims({ sub: 1 })],
  // Texts that are no tokens.
  ['nothing', () => ''],
  ['ten thousand dots', () => '.'.repeat(10_000)],
  ['ten thousand dots behind a good one', (good) => `${goodOf(good)}${'.'.repeat(10_000)}`],
  ['a scheme before it', (good) => [`Basic ${goodOf(good)}`, `Bearer ${goodOf(good)}`]],
  ['space around it', (good) => [` ${goodOf(good)}`, `${goodOf(good)}\n`, `${goodOf(good)}\0`]],
  ['two parts, four parts', (good) => [goodOf(good).slice(0, goodOf(good).lastIndexOf('.')), `${goodOf(good)}.AA`]],
  ['five parts, as if it were encrypted', (good) => `${goodOf(good)}.AA.AA`],
  ['no signature', (good) => goodOf(good).slice(0, goodOf(good).lastIndexOf('.') + 1)],
  ['half a signature', (good) => goodOf(good).slice(0, -20)],
  ['another signature', (good) => `${goodOf(good).slice(0, goodOf(good).lastIndexOf('.') + 1)}${'A'.repeat(43)}`],
  ['padding', (good) => [`${goodOf(good)}=`, goodOf(good).replace('.', '=.')]],
  [
    'other claims than were signed',
    (good) => {
      const [header, , signature] = goodOf(good).split('.');
      return [header, Buffer.from(JSON.stringify({ ...good.claims, sub: 'root' })).toString('base64url'), signature].join('.');
    },
  ],
  ['a header that is a list', ({ claims, signer }) => forge([], claims, signer)],
  ['claims that are a list', ({ header, signer }) => forge(header, [], signer)],
  ['claims that are no JSON', ({ header, signer }) => forge(header, 'x', signer)],
  ['a header of ten thousand levels', ({ claims, signer }) => forge(`{"alg":${'['.repeat(10_000)}`, claims, signer)],
  [
    'claims of a thousand levels',
    ({ header, claims, signer }) =>
      forge(header, JSON.stringify({ ...claims, x: '@' }).replace('"@"', `${'['.repeat(1000)}${']'.repeat(1000)}`), signer),
  ],
  ['a megabyte', ({ header, claims, signer }) => forge(header, { ...claims, x: 'x'.repeat(1_000_000) }, signer)],
  [
    'JSON serialization',
    (good) => {
      const [header, payload, signature] = goodOf(good).split('.');
      return JSON.stringify({ protected: header, payload, signature });
    },
  ],
];

function brought({ header, claims }: Pick<Verifier, 'header' | 'claims'>, more: Record<string, unknown>): string {
  return forge({ ...header, alg: 'RS256', ...more }, claims, rs256(theirs));
}

describe.each([
  ['of our own', own],
  ['of auth.token', foreign],
  ['of auth.oidc', signIn],
] as const)('[S34] [S35] a token %s', (_name, make) => {
  let good: Verifier;
  beforeAll(async () => {
    good = await make();
  });

  test('is taken as it should be', async () => {
    expect(await good.verify(goodOf(good))).toBeDefined();
    expect(await good.verify(forge(good.header, { ...good.claims, aud: ['x', AUDIENCE] }, good.signer))).toBeDefined();
  });

  test.each(HOSTILE)('is refused: %s', async (_what, forged) => {
    const tokens = forged(good);
    for (const token of typeof tokens === 'string' ? [tokens] : tokens) expect(await good.verify(token)).toBeUndefined();
    // And nothing of it is remembered as good.
    expect(await good.verify(goodOf(good))).toBeDefined();
  });

  test('asks nobody but its issuer, and that once', () => {
    expect(hits).toBe(0);
    expect(asked.filter((url) => !url.startsWith(ISSUER))).toEqual([]);
    expect(asked.filter((url) => url.endsWith('/jwks')).length).toBeLessThanOrEqual(1);
  });
});

describe('[S35] a token of our own that somebody with our key wrote otherwise than we do', () => {
  test.each([
    ['a longer life', withClaims({ exp: SECONDS + 3601 })],
    ['no nbf', without('nbf')],
    ['no jti', without('jti')],
    ['no subject', without('subject')],
    ['no sub', without('sub')],
    ['a sub that is not its subject', withClaims({ sub: 'user:root' })],
    ['a subject of no kind that there is', withClaims({ subject: { kind: 'root', name: 'x' }, sub: 'root:x' })],
    ['a subject without a name', withClaims({ subject: { kind: 'user' }, sub: 'user:undefined' })],
    ['no access', without('access')],
    ['access that is no list', withClaims({ access: {} })],
    ['actions that are no texts', withClaims({ access: [{ type: 'repository', name: 'a', actions: [1] }] })],
    ['access to nothing in particular', withClaims({ access: [{ type: 'repository', actions: ['pull'] }] })],
    ['a fingerprint that is no text', withClaims({ fingerprint: 1 })],
  ] satisfies [string, Make][])('is refused: %s', async (_what, forged) => {
    const good = await own();
    expect(await good.verify(goodOf(good))).toBeDefined();
    expect(await good.verify(forged(good) as string)).toBeUndefined();
  });
});
