import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createAuthority } from '../../fakes/certificates.ts';
import { createFakeSigstore } from '../../fakes/fake-sigstore.ts';
import { load, refusal, ROUTES } from './load.ts';

const pem = ({ publicKey }: { publicKey: KeyObject }): string => publicKey.export({ type: 'spki', format: 'pem' }).toString();
const rsa = (modulusLength: number): string => pem(generateKeyPairSync('rsa', { modulusLength }));
const ec = (namedCurve: string): string => pem(generateKeyPairSync('ec', { namedCurve }));
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { trustedRoot } = createFakeSigstore();
type Root = Record<string, unknown>;
const without = (key: string, value: unknown): string => JSON.stringify({ ...(JSON.parse(trustedRoot) as Root), [key]: value });

const FILES = {
  '/etc/test/cosign.pub': pem(pair),
  '/etc/test/rsa.pub': rsa(2048),
  '/etc/test/p521.pub': ec('P-521'),
  '/etc/test/ed25519.pub': pem(generateKeyPairSync('ed25519')),
  '/etc/test/root.json': trustedRoot,
  '/etc/test/no-type.json': without('mediaType', undefined),
  '/etc/test/private.pem': pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  '/etc/test/certificate.pem': createAuthority('Test').certificate,
  '/etc/test/two.pub': pem(pair) + pem(pair),
  '/etc/test/short.pub': rsa(1024),
  '/etc/test/curve.pub': ec('secp256k1'),
  '/etc/test/x25519.pub': pem(generateKeyPairSync('x25519')),
  '/etc/test/broken.pub': '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n',
  '/etc/test/other.json': '{"mediaType":"application/json"}',
  '/etc/test/no-logs.json': without('tlogs', []),
  '/etc/test/no-ctlogs.json': without('ctlogs', [{ publicKey: { rawBytes: 'AAAA' }, logId: { keyId: 'AAAA' } }]),
  '/etc/test/no-authority.json': without('certificateAuthorities', [{ certChain: { certificates: [{ rawBytes: 'AAAA' }] } }]),
};
const route = (cosign: string): string =>
  `routes: [{ match: "a.test/**", upstreams: [origin], signed: { cosign: { ${cosign} } } }]`;
const IDENTITY = 'identities: [{ issuer: "https://i.test", subject: "a*" }]';

describe('signed', () => {
  test('has the texts of its files, which are looked at again', async () => {
    const config = await load(
      route(`keys: [cosign.pub, rsa.pub, p521.pub, ed25519.pub], ${IDENTITY}, trustedroot: root.json`),
      {
        files: FILES,
      },
    );
    expect(config.routes[0]?.policy.signed).toEqual({
      keys: ['cosign', 'rsa', 'p521', 'ed25519'].map((name) => FILES[`/etc/test/${name}.pub` as keyof typeof FILES]),
      identities: [{ issuer: 'https://i.test', subject: 'a*' }],
      trustedRoot,
    });
    expect([...config.watched.keys()]).toEqual(
      expect.arrayContaining(['/etc/test/cosign.pub', '/etc/test/rsa.pub', '/etc/test/root.json']),
    );
    expect(config.warnings).toEqual([
      'routes[0].signed.cosign.keys[3] is of Ed25519: signatures in bundles, which cosign makes by it as Ed25519ph, cannot be checked here and do not count',
    ]);
  });

  test('one key needs no list', async () => {
    const config = await load(route('keys: cosign.pub'), { files: FILES });
    expect(config.routes[0]?.policy.signed).toEqual({
      keys: [FILES['/etc/test/cosign.pub']],
      identities: [],
      trustedRoot: undefined,
    });
  });

  test('of the defaults holds for a route that says nothing, and not for one that asks for none', async () => {
    const yaml = `defaults: { signed: { cosign: { keys: cosign.pub } } }
routes:
  - { match: "a.test/**", upstreams: [origin] }
  - { match: "b.test/**", upstreams: [origin], signed: {} }
  - { match: "c.test/**", upstreams: [origin], signed: { cosign: { keys: rsa.pub } } }`;
    const config = await load(yaml, { files: FILES });
    expect(config.routes.map(({ policy }) => policy.signed?.keys)).toEqual([
      [FILES['/etc/test/cosign.pub']],
      undefined,
      [FILES['/etc/test/rsa.pub']],
    ]);
    const proxy = 'proxy: { remoteurl: "https://a.test" }\ndefaults: { signed: { cosign: { keys: cosign.pub } } }';
    expect((await load(proxy, { files: FILES })).routes[0]?.policy.signed?.keys).toHaveLength(1);
    expect((await load(ROUTES)).routes[0]?.policy.signed).toBeUndefined();
  });

  test('a root without its media type is an old one', async () => {
    const config = await load(route(`${IDENTITY}, trustedroot: no-type.json`), { files: FILES });
    expect(config.routes[0]?.policy.signed?.identities).toHaveLength(1);
  });

  test('beside passthrough is said to look for signatures as nobody', async () => {
    const yaml =
      'upstreams: { a: { url: "https://a.test" } }\nauth: {}\naccess: [{ match: "**", pull: anyone }]\nroutes: [{ match: "a.test/**", upstreams: [a], passthrough: true, signed: { cosign: { keys: cosign.pub } } }]';
    const config = await load(yaml, { files: FILES });
    expect(config.warnings).toContain(
      "config.yml:4: signatures are looked for in nobody's name, so that with signed and passthrough only what anybody may read is served",
    );
  });

  test('on a route that takes pushes is said to leave no way to sign them', async () => {
    const config = await load('routes: [{ match: "**", upstreams: [hosted], signed: { cosign: { keys: cosign.pub } } }]', {
      files: FILES,
    });
    expect(config.warnings).toEqual([
      'config.yml:1: what is pushed to a route with signed cannot be signed there: cosign reads first what it signs',
    ]);
  });

  test('a trusted root for nobody is said to be without effect', async () => {
    const config = await load(route('keys: cosign.pub, trustedroot: root.json'), { files: FILES });
    expect(config.warnings).toEqual([
      'routes[0].signed.cosign.trustedroot has no effect here: keys need none, and there are no identities',
    ]);
  });
});

const ROOT = 'routes[0].signed.cosign.trustedroot';

describe('signed is an error, with its place and what was expected', () => {
  test.each([
    ['keys: []', 'routes[0].signed.cosign', 'expected keys or identities: nothing could be signed by any of none'],
    ['keys: [none.pub]', 'routes[0].signed.cosign.keys[0]', 'expected a file, but there is no /etc/test/none.pub'],
    [
      'keys: [cosign.pub, private.pem]',
      'routes[0].signed.cosign.keys[1]',
      'expected a public key: this file holds a private one',
    ],
    ['keys: [certificate.pem]', 'routes[0].signed.cosign.keys[0]', 'expected a file in PEM form that holds one public key'],
    ['keys: [two.pub]', 'routes[0].signed.cosign.keys[0]', 'expected a file in PEM form that holds one public key'],
    ['keys: [broken.pub]', 'routes[0].signed.cosign.keys[0]', 'expected a file in PEM form that holds one public key'],
    ['keys: [short.pub]', 'routes[0].signed.cosign.keys[0]', 'RSA with 2048 bits or more'],
    ['keys: [curve.pub]', 'routes[0].signed.cosign.keys[0]', 'expected a key of ECDSA (P-256, P-384, P-521)'],
    ['keys: [x25519.pub]', 'routes[0].signed.cosign.keys[0]', 'expected a key of ECDSA'],
    [IDENTITY, 'routes[0].signed.cosign.identities', 'expected trustedroot beside it'],
    [
      'identities: [{ issuer: i.test, subject: a }], trustedroot: root.json',
      'routes[0].signed.cosign.identities[0].issuer',
      'expected the URL of an issuer',
    ],
    [`${IDENTITY}, trustedroot: cosign.pub`, ROOT, 'expected a trusted_root.json of Sigstore'],
    [`${IDENTITY}, trustedroot: other.json`, ROOT, 'expected a trusted_root.json of Sigstore'],
    [`${IDENTITY}, trustedroot: no-logs.json`, ROOT, 'with the public keys of its tlogs'],
    [`${IDENTITY}, trustedroot: no-ctlogs.json`, ROOT, 'with the public keys of its ctlogs'],
    [`${IDENTITY}, trustedroot: no-authority.json`, ROOT, 'with the certificates of its certificateAuthorities'],
    ['key: cosign.pub', 'routes[0].signed.cosign.key', 'keys'],
  ])('%s', async (cosign, key, expected) => {
    const message = await refusal(route(cosign), { files: FILES });
    expect(message.split('\n')).toHaveLength(1);
    expect(message).toContain(expected);
    expect(message).toMatch(/^config\.yml:1:\d+: /);
    expect(message.replace(/^config\.yml:1:\d+: /, '').startsWith(key)).toBe(true);
    expect(message).not.toContain('BEGIN');
  });

  test('of the defaults stands there, and stands once', async () => {
    const yaml = `defaults: { signed: { cosign: { keys: [none.pub] } } }\nroutes: [{ match: "a.test/**", upstreams: [origin] }, { match: "**", upstreams: [origin] }]`;
    expect(await refusal(yaml)).toBe(
      'config.yml:1:40: defaults.signed.cosign.keys[0]: expected a file, but there is no /etc/test/none.pub',
    );
  });
});
