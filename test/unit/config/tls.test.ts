import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { needsRestart, withFixed } from '../../../src/config/reload.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { load, refusal, ROUTES } from './load.ts';

const authority = createAuthority('Test');
const pair = authority.issue('localhost');
const FILES = {
  '/etc/test/cert.pem': pair.certificate,
  '/etc/test/key.pem': pair.key,
  '/etc/test/ca.pem': authority.certificate + authority.issue('second').certificate,
  '/etc/test/other-key.pem': authority.issue('localhost').key,
  '/etc/test/locked.pem': generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' },
  }).privateKey,
  '/etc/test/junk.pem': 'junk',
  '/etc/test/broken.pem': `${authority.certificate}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`,
};
const tls = (more: string): string => `http: { tls: { ${more} } }\n${ROUTES}`;
const PAIR = 'certificate: cert.pem, key: key.pem';

describe('http.tls', () => {
  test('a certificate and its key, by paths relative to the file; TLS 1.2 is the minimum', async () => {
    const config = await load(tls(PAIR), { files: FILES });
    expect(config.http).toMatchObject({
      http2: false,
      tls: {
        certificate: '/etc/test/cert.pem',
        key: '/etc/test/key.pem',
        clientcas: [],
        clientauth: undefined,
        minimum: 'TLSv1.2',
        ciphers: undefined,
      },
    });
    // The listener reads them again itself: their change reloads nothing else.
    expect([...config.watched.keys()]).toEqual(['/etc/test/config.yml']);
  });

  test('nothing, or nothing below it, is plain HTTP', async () => {
    for (const yaml of [ROUTES, `http: { tls: {} }\n${ROUTES}`, `http: { tls: }\n${ROUTES}`])
      expect((await load(yaml)).http.tls).toBeUndefined();
  });

  test.each([
    ['clientcas: [ca.pem]', 'require-and-verify-client-cert'],
    ['clientcas: [ca.pem], clientauth: request-client-cert', 'request-client-cert'],
    ['clientcas: [ca.pem], clientauth: require-any-client-cert', 'require-any-client-cert'],
    ['clientcas: [ca.pem], clientauth: verify-client-cert-if-given', 'verify-client-cert-if-given'],
    ['clientcas: [ca.pem], clientauth: require-and-verify-client-cert', 'require-and-verify-client-cert'],
  ])('%s', async (written, clientauth) => {
    const config = await load(tls(`${PAIR}, ${written}`), { files: FILES });
    expect(config.http.tls).toMatchObject({ clientcas: ['/etc/test/ca.pem'], clientauth });
  });

  test.each([
    ['minimumtls: tls1.0', { minimum: 'TLSv1' }, []],
    ['minimumtls: tls1.1', { minimum: 'TLSv1.1' }, []],
    ['minimumtls: tls1.3', { minimum: 'TLSv1.3' }, []],
    [
      'ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_256_CBC_SHA]',
      { minimum: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA' },
      [],
    ],
    ['ciphersuites: [TLS_AES_256_GCM_SHA384]', { minimum: 'TLSv1.3', ciphers: undefined }, []],
    ['minimumtls: tls1.3, ciphersuites: [TLS_RSA_WITH_AES_256_CBC_SHA]', { minimum: 'TLSv1.3' }, ['http.tls.ciphersuites']],
  ])('%s', async (written, expected, warnings) => {
    const config = await load(tls(`${PAIR}, ${written}`), { files: FILES });
    expect(config.http.tls).toMatchObject(expected);
    expect(config.warnings.map((warning) => warning.split(' ')[0])).toEqual(warnings);
  });

  test.each([
    ['certificate: cert.pem', 'http.tls: expected certificate and key together'],
    ['clientcas: [ca.pem]', 'http.tls: expected certificate and key together'],
    [`${PAIR}, clientauth: request-client-cert`, 'http.tls.clientauth: expected clientcas besides'],
    ['certificate: none.pem, key: key.pem', 'http.tls.certificate: expected a file, but there is no /etc/test/none.pem'],
    ['certificate: junk.pem, key: key.pem', 'http.tls.certificate: expected a file in PEM form that holds a certificate'],
    ['certificate: cert.pem, key: junk.pem', 'http.tls.key: expected a file in PEM form that holds a private key'],
    ['certificate: cert.pem, key: other-key.pem', 'http.tls.key: expected the private key of http.tls.certificate'],
    ['certificate: cert.pem, key: locked.pem', 'http.tls.key: expected a private key without a passphrase: openssl pkey'],
    [`${PAIR}, clientcas: [ca.pem, junk.pem]`, 'http.tls.clientcas[1]: expected a file in PEM form that holds certificates'],
    [`${PAIR}, clientcas: broken.pem`, 'http.tls.clientcas: expected a file in PEM form that holds certificates'],
    [`${PAIR}, minimumtls: ssl3`, 'http.tls.minimumtls: expected one of tls1.0, tls1.1, tls1.2, tls1.3'],
    [`${PAIR}, clientauth: required`, 'http.tls.clientauth: expected one of request-client-cert'],
    [`${PAIR}, ciphersuites: [TLS_RSA_WITH_3DES_EDE_CBC_SHA]`, '3DES and RC4 are not offered'],
    ['letsencrypt: { hosts: [a.test] }', 'let Caddy in front fetch and renew the certificate, as in deploy/caddy'],
  ])('%s is an error', async (written, message) => {
    const told = await refusal(tls(written), { files: FILES });
    expect(told).toContain(message);
    expect(told).toMatch(/^config\.yml:1:\d+: /);
    expect(told.split('\n')).toHaveLength(1);
  });
});

describe('http.http2', () => {
  test('is on only where that is written out', async () => {
    const on = await load(`http: { tls: { ${PAIR} }, http2: { disabled: false } }\n${ROUTES}`, { files: FILES });
    expect(on.http.http2).toBe(true);
    const off = await load(`http: { tls: { ${PAIR} }, http2: { disabled: true } }\n${ROUTES}`, { files: FILES });
    expect(off.http.http2).toBe(false);
  });

  test('has no effect without TLS, which is said', async () => {
    const config = await load(`http: { http2: { disabled: false } }\n${ROUTES}`);
    expect(config.http.http2).toBe(false);
    expect(config.warnings).toEqual([expect.stringMatching(/^http\.http2 has no effect here: .*http\.tls/)]);
  });
});

describe('a reload', () => {
  const of = (written: string): Promise<Config> => load(`http: { ${written} }\n${ROUTES}`, { files: FILES });

  test('takes other files and rules, and waits for a restart to speak TLS at all, or to ask clients for certificates', async () => {
    const [plain, secure, asking] = [
      await of('addr: ":1"'),
      await of(`tls: { ${PAIR} }`),
      await of(`tls: { ${PAIR}, clientcas: ca.pem }`),
    ];
    const stricter = await of(`tls: { ${PAIR}, clientcas: ca.pem, clientauth: request-client-cert, minimumtls: tls1.3 }`);
    expect(needsRestart(asking, stricter)).toEqual([]);
    expect(withFixed(asking, stricter).http.tls).toMatchObject({ clientauth: 'request-client-cert', minimum: 'TLSv1.3' });
    for (const [running, next] of [
      [plain, secure],
      [secure, plain],
      [secure, asking],
      [asking, secure],
    ] as const) {
      expect(needsRestart(running, next)).toContain('http.tls');
      expect(withFixed(running, next).http.tls).toEqual(running.http.tls);
    }
  });

  test('waits for a restart to offer HTTP/2', async () => {
    const [one, two] = [await of(`tls: { ${PAIR} }`), await of(`tls: { ${PAIR} }, http2: { disabled: false }`)];
    expect(needsRestart(one, two)).toEqual(['http.http2.disabled']);
    expect([withFixed(one, two).http.http2, withFixed(two, one).http.http2]).toEqual([false, true]);
  });
});
