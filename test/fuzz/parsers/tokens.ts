import { X509Certificate } from 'node:crypto';
import { caPathLength } from '../../../src/auth/ca-path-length.ts';
import { leafOf } from '../../../src/auth/certificate-chain.ts';
import { CLAIMS_LENGTH_MAX, toClaims } from '../../../src/auth/claims.ts';
import { createForeignTokens } from '../../../src/auth/foreign-tokens.ts';
import { readAccess, readUnproven } from '../../../src/auth/jwt.ts';
import { parseKeySet } from '../../../src/auth/key-set.ts';
import { createSignInTokens } from '../../../src/auth/oidc.ts';
import { parseSubject } from '../../../src/auth/subject-text.ts';
import { readTrustedKeys } from '../../../src/auth/trusted-keys.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { isObject, readJsonObject } from '../../../src/oci/json.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { ecKeys, es256, forge, jwkOf } from '../../unit/auth/forge.ts';
import { AUDIENCE, START, startNode } from '../../unit/auth/token-house.ts';
import { bytesOf, demand, utf8Of, type Parser } from '../parser.ts';

const LONGEST = 16_384;
const ISSUER = 'https://issuer.test';
const SECONDS = START / 1000;
const CLAIMS = { iss: ISSUER, sub: 'ann', aud: AUDIENCE, exp: SECONDS + 900, iat: SECONDS, nbf: SECONDS, access: [] };

/** Their keys are new each time: the corpus can hold none that is good, so good ones are made. */
export async function tokenParsers(): Promise<readonly Parser[]> {
  return [await jwt(), keySet, discovery(), certificate(), claims];
}

async function jwt(): Promise<Parser> {
  const keys = ecKeys();
  const jwks = { keys: [jwkOf(keys, { kid: 'k1' })] };
  const clock = createFakeClock(START);
  const read = readTrustedKeys({ jwks: JSON.stringify(jwks) });
  if (read.kind === 'fault') throw new Error(read.reason);
  const foreign = createForeignTokens({ issuer: ISSUER, service: AUDIENCE, keys: read.keys, clock });
  const signIn = createSignInTokens({
    issuers: [{ name: 'ci', issuer: ISSUER, audience: AUDIENCE }],
    clock,
    fetchJson: async (url) => (url.endsWith('/jwks') ? jwks : { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` }),
  });
  const { tokens } = startNode();
  const subject = { kind: 'user', name: 'ann' } as const;
  const ours = (await tokens.issue({ subject, fingerprint: 'f', scopes: [], audience: AUDIENCE })).token;
  const theirs = forge({ alg: 'ES256', kid: 'k1' }, CLAIMS, es256(keys));
  const good = new Set([ours, theirs].map(partsOf));
  return {
    name: 'jwt',
    covers: ['readUnproven', 'createForeignTokens', 'createSignInTokens', 'readTrustedKeys'],
    seeds: [ours, theirs, forge({ alg: 'ES256', jwk: jwkOf(ecKeys()) }, CLAIMS, es256(keys))],
    words: ['.', 'eyJhbGciOiJub25lIn0', 'e30', 'eyJ', '=', '-', '_', ...theirs.split('.')],
    longest: LONGEST,
    async read(input) {
      const unproven = readUnproven(input);
      const found = await Promise.all([tokens.verify(input, AUDIENCE), foreign.verify(input), signIn.verify(input)]);
      const isProven = found.some((one) => one !== undefined);
      demand(!isProven || good.has(partsOf(input)), 'only what was signed is believed');
      return `${unproven === undefined} ${isProven}`;
    },
  };
}

/** The last bits of base64 may say nothing, so that two texts are one token. */
function partsOf(token: string): string {
  return token
    .split('.')
    .map((part) => Buffer.from(part, 'base64url').toString('hex'))
    .join('.');
}

const KEY_WORDS =
  '"keys": "kty": "kid": "use": "alg": "crv": "x": "y": "n": "e": "d": "k": "EC" "RSA" "oct" "OKP" "P-256" "AQAB" "sig"';

const keySet: Parser = {
  name: 'key-set',
  covers: ['parseKeySet', 'readKeySet', 'readTrustedKeys'],
  seeds: [JSON.stringify({ keys: [jwkOf(ecKeys(), { kid: 'a', use: 'sig', alg: 'ES256' })] })],
  words: [...KEY_WORDS.split(' '), '[', ']', '{', '}', ',', '-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'],
  longest: 256 * 1024,
  read(input) {
    const text = utf8Of(input);
    const keys = parseKeySet(text);
    for (const { algorithms, key } of keys ?? []) {
      demand(algorithms.length > 0 && algorithms.every((name) => !/^HS|none/i.test(name)), 'no secret is taken for a key');
      demand(key.type === 'public', 'nor a private one');
    }
    const trusted = readTrustedKeys({ rootcertbundle: text });
    return `${keys === undefined ? 'none' : Math.min(keys.length, 2)} ${trusted.kind}`;
  },
};

/** What an issuer says of itself, and its keys, one a line. */
function discovery(): Parser {
  const keys = ecKeys();
  const token = forge({ alg: 'ES256', kid: 'k1' }, CLAIMS, es256(keys));
  const set = JSON.stringify({ keys: [jwkOf(keys, { kid: 'k1' })] });
  const document = JSON.stringify({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` });
  return {
    name: 'discovery',
    covers: ['createSignInTokens', 'readKeySet'],
    seeds: [`${document}\n${set}`, `${document}\n{"keys":[]}`],
    words: [...KEY_WORDS.split(' '), '"issuer":', '"jwks_uri":', `"${ISSUER}"`, '"https://evil.test/"', '"k1"', '\n'],
    longest: 64 * 1024,
    async read(input) {
      const [first = '', second = ''] = input.split('\n', 2);
      const asked: string[] = [];
      const signIn = createSignInTokens({
        issuers: [{ name: 'ci', issuer: ISSUER, audience: AUDIENCE }],
        clock: createFakeClock(START),
        fetchJson: async (url) => {
          asked.push(url);
          const read = readJsonObject(bytesOf(asked.length === 1 ? first : second));
          if (read.kind === 'fault') throw new Error(read.reason);
          return read.value;
        },
      });
      try {
        const found = await signIn.verify(token);
        demand(
          asked.every((url) => new URL(url).origin === ISSUER),
          'keys are had from the issuer alone',
        );
        return String(found?.kind);
      } catch (error) {
        if (error instanceof RegistryError && error.status === 503) return error.message.slice(0, 60);
        throw error;
      }
    },
  };
}

/** DER, as the bytes of an `x5c`. */
function certificate(): Parser {
  const root = createAuthority('root', START);
  const between = root.under('between', 0);
  const [rootDer, betweenDer, leafDer] = [root, between, between.issue('leaf')].map(({ certificate: pem }) => derOf(pem));
  const roots = [new X509Certificate(root.certificate)];
  const known = new Set([rootDer, betweenDer, leafDer].map((der) => der?.toString('base64')));
  return {
    name: 'certificate',
    covers: ['leafOf', 'caPathLength'],
    seeds: [rootDer, betweenDer, leafDer].map((der) => der?.toString('latin1') ?? ''),
    words: [
      '\u0030\u0082',
      '\u0030\u0003\u0001\u0001\u00ff',
      '\u0006\u0003\u0055\u001d\u0013',
      '\u00a3\u0082',
      '\u0002\u0001\u0000',
      '\u0084\u00ff\u00ff\u00ff\u00ff',
    ],
    longest: 12_000,
    read(input) {
      const bytes = bytesOf(input);
      const length = caPathLength(bytes);
      demand(length >= 0, 'a length is one');
      const text = bytes.toString('base64');
      const leaf = leafOf([text], roots, START) ?? leafOf([text, betweenDer?.toString('base64')], roots, START);
      if (leaf !== undefined) demand(known.has(leaf.raw.toString('base64')), 'only what was signed vouches for anybody');
      return `${leaf === undefined} ${length === Infinity ? 'any' : Math.min(length, 2)}`;
    },
  };
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
}

const claims: Parser = {
  name: 'claims',
  covers: ['toClaims', 'readAccess', 'parseSubject', 'readSubject'],
  words: [
    '"sub":',
    '"repository":',
    '"access":',
    '"type":',
    '"name":',
    '"actions":',
    '"kind":',
    '"claims":',
    '"issuer":',
    '"id":',
    '"repository"',
    '["pull"]',
    '{',
    '}',
    '[',
    ']',
    ',',
    'true',
    '1',
    '"user"',
    '"oidc"',
    '"__proto__":',
  ],
  longest: LONGEST,
  read(input) {
    const read = readJsonObject(bytesOf(input));
    const subject = parseSubject(utf8Of(input));
    if (read.kind === 'fault') return `${read.reason} ${subject?.kind}`;
    const found = toClaims(read.value);
    demand(Object.getPrototypeOf(found) === null, 'claims have no prototype');
    demand(JSON.stringify(found).length <= 7 * CLAIMS_LENGTH_MAX, 'they fit into a token');
    const access = readAccess(read.value['access']);
    if (access !== undefined)
      demand(
        access.every((entry) => isObject(entry)),
        'rights are rights',
      );
    return `${Math.min(Object.keys(found).length, 3)} ${access?.length} ${subject?.kind}`;
  },
};
