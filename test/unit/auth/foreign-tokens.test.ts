import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { caPathLength } from '../../../src/auth/ca-path-length.ts';
import { createForeignTokens } from '../../../src/auth/foreign-tokens.ts';
import { libtrustId, readTrustedKeys } from '../../../src/auth/trusted-keys.ts';
import { createAuthority, type Pair } from '../../fakes/certificates.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { eddsa, ecKeys, es256, forge, hs256, jwkOf, rs256, rsaKeys, type Keys, type Signer } from './forge.ts';
import { AUDIENCE, DAY, MINUTE, START } from './token-house.ts';

const SECONDS = START / 1000;
const CLAIMS = {
  iss: 'auth.example.test',
  sub: 'ann',
  aud: AUDIENCE,
  exp: SECONDS + 300,
  nbf: SECONDS,
  iat: SECONDS,
  jti: 'x',
  access: [{ type: 'repository', class: 'image', name: 'acme/app', actions: ['pull', 'push'] }],
};
const ANN = {
  subject: { kind: 'user', name: 'ann' },
  scopes: [{ type: 'repository', class: 'image', name: 'acme/app', actions: ['pull', 'push'] }],
};

const clock = createFakeClock(START);
const verifier = (texts: Parameters<typeof readTrustedKeys>[0], algorithms?: readonly string[]) => {
  const read = readTrustedKeys(texts);
  if (read.kind === 'fault') throw new Error(`${read.of}: ${read.reason}`);
  return createForeignTokens({
    issuer: CLAIMS.iss,
    service: AUDIENCE,
    keys: read.keys,
    clock,
    ...(algorithms === undefined ? {} : { algorithms }),
  });
};
const setOf = (...keys: unknown[]): string => JSON.stringify({ keys });

const base64 = ({ certificate }: Pair): string => new X509Certificate(certificate).raw.toString('base64');
const signerOf = ({ key }: Pair): Signer => {
  const privateKey = createPrivateKey(key);
  return es256({ privateKey, publicKey: privateKey });
};
const publicJwk = ({ certificate }: Pair): Record<string, unknown> => ({
  ...new X509Certificate(certificate).publicKey.export({ format: 'jwk' }),
});

describe('a token of auth.token', () => {
  const ed = generateKeyPairSync('ed25519') as Keys;
  test.each<[string, string, Keys, (keys: Keys) => Signer]>([
    ['RSA', 'RS256', rsaKeys(), rs256],
    ['P-256', 'ES256', ecKeys(), es256],
    ['Ed25519', 'EdDSA', ed, eddsa],
  ])('signed with a key of the set is taken: %s', async (_kind, alg, keys, signer) => {
    const tokens = verifier({ jwks: setOf(jwkOf(keys, { kid: 'a' })) });
    expect(await tokens.verify(forge({ alg, kid: 'a', typ: 'JWT' }, CLAIMS, signer(keys)))).toEqual(ANN);
    // By the key that stands in it, which is one of ours.
    expect(await tokens.verify(forge({ alg, jwk: jwkOf(keys, { kid: 'whatever' }) }, CLAIMS, signer(keys)))).toEqual(ANN);
  });

  test('may be for nobody in particular, and for nothing', async () => {
    const keys = ecKeys();
    const tokens = verifier({ jwks: setOf(jwkOf(keys, { kid: 'a' })) });
    const token = (changed: object): string => forge({ alg: 'ES256', kid: 'a' }, { ...CLAIMS, ...changed }, es256(keys));
    const nobody = { subject: { kind: 'anyone' }, scopes: [] };
    expect(await tokens.verify(token({ sub: '', access: [] }))).toEqual(nobody);
    expect(await tokens.verify(token({ sub: undefined, access: null }))).toEqual(nobody);
    expect(await tokens.verify(token({ access: [{ type: 'registry', name: 'catalog', actions: ['*'], class: '' }] }))).toEqual({
      ...ANN,
      scopes: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
    });
    for (const access of ['x', {}, [1], [null], [{ name: 'x', actions: [] }], [{ ...CLAIMS.access[0], actions: 'pull' }]])
      expect(await tokens.verify(token({ access }))).toBeUndefined();
    expect(await tokens.verify(token({ access: [{ ...CLAIMS.access[0], class: 1 }] }))).toBeUndefined();
  });

  test('is good for a minute before and after its time, and no longer', async () => {
    const keys = ecKeys();
    const tokens = verifier({ jwks: setOf(jwkOf(keys, { kid: 'a' })) });
    const token = forge({ alg: 'ES256', kid: 'a' }, CLAIMS, es256(keys));
    const at = async (ms: number): Promise<unknown> => {
      clock.jump(ms);
      try {
        return await tokens.verify(token);
      } finally {
        clock.jump(-ms);
      }
    };
    expect(await at(-MINUTE - 1000)).toBeUndefined();
    expect(await at(-MINUTE)).toBeDefined();
    expect(await at(6 * MINUTE - 1)).toBeDefined();
    expect(await at(6 * MINUTE)).toBeUndefined();
  });

  test('is not taken with an algorithm that is not allowed, or that is not its key’s', async () => {
    const keys = rsaKeys();
    const token = forge({ alg: 'RS256', kid: 'a' }, CLAIMS, rs256(keys));
    const jwks = setOf(jwkOf(keys, { kid: 'a' }));
    expect(await verifier({ jwks }, ['RS256']).verify(token)).toBeDefined();
    expect(await verifier({ jwks }, ['ES256', 'PS256']).verify(token)).toBeUndefined();
    expect(await verifier({ jwks }, []).verify(token)).toBeUndefined();
    expect(await verifier({ jwks: setOf(jwkOf(keys, { kid: 'a', alg: 'PS256' })) }).verify(token)).toBeUndefined();
    expect(() => verifier({ jwks }, ['HS256'])).toThrow('HS256 is none of EdDSA, RS256');
    expect(() => verifier({ jwks }, ['none'])).toThrow('none is none of');
  });

  test('[S34] is not taken by what is no key to check with', async () => {
    const weak = rsaKeys(1024);
    const good = jwkOf(ecKeys(), { kid: 'good' });
    const secret = { kty: 'oct', k: Buffer.from('secret').toString('base64url'), kid: 'a' };
    const enc = ecKeys();
    const tokens = verifier({
      jwks: setOf(jwkOf(weak, { kid: 'weak' }), secret, jwkOf(enc, { kid: 'enc', use: 'enc' }), 1, null, good),
    });
    expect(await tokens.verify(forge({ alg: 'RS256', kid: 'weak' }, CLAIMS, rs256(weak)))).toBeUndefined();
    expect(await tokens.verify(forge({ alg: 'HS256', kid: 'a' }, CLAIMS, hs256('secret')))).toBeUndefined();
    expect(await tokens.verify(forge({ alg: 'ES256', kid: 'enc' }, CLAIMS, es256(enc)))).toBeUndefined();
  });

  test('a private key in the set checks, and is no more than that', async () => {
    const keys = ecKeys();
    const jwk = { ...keys.privateKey.export({ format: 'jwk' }), kid: 'a' };
    const token = forge({ alg: 'ES256', kid: 'a' }, CLAIMS, es256(keys));
    expect(await verifier({ jwks: setOf(jwk) }).verify(token)).toBeDefined();
  });
});

test('the key of distribution’s "Token Authentication Implementation" has the name there that libtrust gives it', () => {
  const key = {
    kty: 'EC',
    crv: 'P-256',
    x: 'm7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q',
    y: 'dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc',
  };
  const name = 'PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6';
  expect(libtrustId(createPublicKey({ key, format: 'jwk' }))).toBe(name);
});

describe('the certificates of auth.token', () => {
  const root = createAuthority('Root', START);
  const tokens = verifier({ rootcertbundle: `# ours\n${createAuthority('Other', START).certificate}\n${root.certificate}` });
  const key = new X509Certificate(root.certificate).publicKey;

  test('give their keys the names of 2.x and of 3.x', async () => {
    const jwk = key.export({ format: 'jwk' });
    const thumbprint = createHash('sha256')
      .update(`{"crv":"${jwk.crv}","kty":"${jwk.kty}","x":"${jwk.x}","y":"${jwk.y}"}`)
      .digest('base64url');
    expect(libtrustId(key)).toMatch(/^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/);
    for (const kid of [libtrustId(key), thumbprint])
      expect(await tokens.verify(forge({ alg: 'ES256', kid }, CLAIMS, signerOf(root)))).toEqual(ANN);
  });

  const shown = (chain: readonly Pair[], signer: Pair): string =>
    forge({ alg: 'ES256', x5c: chain.map(base64) }, CLAIMS, signerOf(signer));

  test('vouch for whom they have signed, also through others', async () => {
    const leaf = root.issue('signer');
    const middle = root.under('Middle');
    const lower = middle.under('Lower');
    const [deep, deeper] = [middle.issue('deep'), lower.issue('deeper')];
    expect(await tokens.verify(shown([leaf], leaf))).toEqual(ANN);
    expect(await tokens.verify(shown([leaf, root], leaf))).toEqual(ANN);
    expect(await tokens.verify(shown([root], root))).toEqual(ANN);
    expect(await tokens.verify(shown([deep, middle], deep))).toEqual(ANN);
    expect(await tokens.verify(shown([deeper, lower, middle], deeper))).toEqual(ANN);
    expect(await tokens.verify(shown([deeper, lower, middle, root], deeper))).toEqual(ANN);
    // RFC 7515 4.1.6: in order.
    expect(await tokens.verify(shown([deeper, middle, lower], deeper))).toBeUndefined();
    // In the way of 2.x: inside the key.
    const jwk = { ...publicJwk(deep), x5c: [deep, middle].map(base64) };
    expect(await tokens.verify(forge({ alg: 'ES256', jwk }, CLAIMS, signerOf(deep)))).toEqual(ANN);
  });

  test.each<[string, () => string]>([
    [
      'of another authority',
      () => {
        const evil = createAuthority('Root', START);
        const leaf = evil.issue('signer');
        return shown([leaf, evil], leaf);
      },
    ],
    ['signed with another key than the first one’s', () => shown([root.issue('signer')], root.issue('signer'))],
    [
      'without what leads to ours',
      () => {
        const deep = root.under('Middle').issue('deep');
        return shown([deep], deep);
      },
    ],
    [
      'signed by one that is no authority',
      () => {
        const leaf = root.under('signer', 'none');
        const below = leaf.issue('below');
        return shown([below, leaf], below);
      },
    ],
    [
      'that has run out',
      () => {
        const leaf = root.issue('signer', { to: new Date(START - 1000) });
        return shown([leaf], leaf);
      },
    ],
    [
      'that is not yet good',
      () => {
        const leaf = root.issue('signer', { from: new Date(START + DAY) });
        return shown([leaf], leaf);
      },
    ],
    [
      'under an authority that may have none under it',
      () => {
        const middle = root.under('Middle', 0);
        const lower = middle.under('Lower');
        const leaf = lower.issue('leaf');
        return shown([leaf, lower, middle], leaf);
      },
    ],
    [
      'too many',
      () => {
        const leaf = root.issue('signer');
        return shown([leaf, root, root, root, root, root], leaf);
      },
    ],
    [
      'with one among them that is none',
      () => {
        const leaf = root.issue('signer');
        return forge({ alg: 'ES256', x5c: [base64(leaf), 'AAAA'] }, CLAIMS, signerOf(leaf));
      },
    ],
    [
      'of another key, in a key',
      () => {
        const mine = ecKeys();
        const jwk = jwkOf(mine, { x5c: [base64(root.issue('signer'))] });
        return forge({ alg: 'ES256', jwk }, CLAIMS, es256(mine));
      },
    ],
    [
      'of nobody, in a key that is ours',
      () => forge({ alg: 'ES256', jwk: { ...publicJwk(root), x5c: [] } }, CLAIMS, signerOf(root)),
    ],
  ])('do not vouch for a chain %s', async (_what, make) => {
    expect(await tokens.verify(make())).toBeUndefined();
  });

  test('one under an authority that may have one under it is good', async () => {
    const lower = root.under('Middle', 1).under('Lower', 0);
    const middle = root.under('Middle', 1);
    const under = middle.under('Lower', 0);
    const leaf = under.issue('leaf');
    expect(await tokens.verify(shown([leaf, under, middle], leaf))).toEqual(ANN);
    expect(caPathLength(new X509Certificate(lower.certificate).raw)).toBe(0);
    expect(caPathLength(new X509Certificate(middle.certificate).raw)).toBe(1);
    expect(caPathLength(new X509Certificate(root.certificate).raw)).toBe(Infinity);
    expect(caPathLength(new X509Certificate(root.certificate).raw.subarray(0, 200))).toBe(0);
  });

  test('are looked at again after five minutes, since they run out too', async () => {
    const leaf = root.issue('signer', { to: new Date(START + 10 * MINUTE) });
    const longer = { ...CLAIMS, exp: SECONDS + 3600 };
    const token = forge({ alg: 'ES256', x5c: [base64(leaf)] }, longer, signerOf(leaf));
    expect(await tokens.verify(token)).toBeDefined();
    clock.jump(11 * MINUTE);
    expect(await tokens.verify(token)).toBeUndefined();
    clock.jump(-11 * MINUTE);
  });
});

test.each([
  [{ rootcertbundle: '' }, 'rootcertbundle'],
  [{ rootcertbundle: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }, 'rootcertbundle'],
  [{ jwks: 'x' }, 'jwks'],
  [{ jwks: '[]' }, 'jwks'],
  [{ jwks: '{"keys":{}}' }, 'jwks'],
  [{ jwks: '{"keys":[]}' }, 'jwks'],
  [{ jwks: '{"keys":[{"kty":"oct","k":"eA"}]}' }, 'jwks'],
  [{ jwks: setOf(jwkOf(rsaKeys(1024), { kid: 'weak' })) }, 'jwks'],
  [{}, 'jwks'],
])('files that have no keys are a fault: %j', (texts, of) => {
  expect(readTrustedKeys(texts)).toMatchObject({ kind: 'fault', of });
});
