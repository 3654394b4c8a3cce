import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { accountOf, serverOf } from '../../../src/config/docker-config.ts';
import { Secret } from '../../../src/config/secret.ts';
import { load, refusal, ROUTES } from './load.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What is said of a registry, secrets in the clear. */
function told(config: unknown, prefix: string): unknown {
  const account = accountOf(typeof config === 'string' ? config : JSON.stringify(config), prefix);
  return JSON.parse(
    JSON.stringify(account, function (this: Record<string, unknown>, key: string, value: unknown) {
      const raw = this[key];
      return raw instanceof Secret ? raw.reveal() : value;
    }),
  );
}

const password = (username: string, secret: string) => ({ kind: 'password', username, password: secret });

describe('a docker config.json', () => {
  const auths = {
    'https://index.docker.io/v1/': { auth: base64('me:se:cret') },
    'ghcr.io': { username: 'g', password: 'h' },
    'ghcr.io/acme': { auth: base64('acme:a') },
    'https://slash.test/v2/': { auth: base64('s:t') },
    'acr.test': { identitytoken: 't', auth: base64('00000000-0000:') },
    'bare.test': { identitytoken: 't' },
    'shift.test': { registrytoken: 'r', auth: base64('u:p') },
    'kept.test': {},
  };
  test.each([
    ['docker.io', password('me', 'se:cret')],
    ['docker.io/acme', password('me', 'se:cret')],
    ['ghcr.io', password('g', 'h')],
    ['ghcr.io/acme', password('acme', 'a')],
    ['ghcr.io/acme/team', password('acme', 'a')],
    ['ghcr.io/acmetools', password('g', 'h')],
    ['slash.test', password('s', 't')],
    ['acr.test', { kind: 'identity', username: '00000000-0000', token: 't' }],
    ['bare.test', { kind: 'identity', username: '<token>', token: 't' }],
    ['shift.test', { kind: 'bearer', token: 'r' }],
    ['kept.test', 'expected an entry for kept.test under its "auths" or "credHelpers", or a "credsStore"'],
    ['none.test', 'expected an entry for none.test under its "auths" or "credHelpers", or a "credsStore"'],
  ])('%s', (prefix, account) => {
    expect(told({ auths }, prefix)).toEqual(account);
  });

  test.each([
    ['kept.test', { kind: 'helper', helper: 'store', server: 'kept.test' }],
    ['kept.test/acme', { kind: 'helper', helper: 'store', server: 'kept.test' }],
    ['docker.io/acme', { kind: 'helper', helper: 'store', server: 'https://index.docker.io/v1/' }],
    ['ecr.test/x', { kind: 'helper', helper: 'ecr-login', server: 'ecr.test' }],
    ['ghcr.io', password('g', 'h')],
  ])('%s, with helpers', (prefix, account) => {
    const { 'https://index.docker.io/v1/': _hub, ...others } = auths;
    const config = {
      auths: { ...others, 'ecr.test': { auth: base64('u:p') } },
      credHelpers: { 'ecr.test': 'ecr-login' },
      credsStore: 'store',
    };
    expect(told(config, prefix)).toEqual(account);
  });

  test.each([
    '',
    '[]',
    'null',
    '{"auths":[]}',
    '{"auths":{"h.test":1}}',
    '{"auths":{"h.test":{"auth":"czNjcmV0"}}}',
    '{"credHelpers":{"h.test":"../x"}}',
    '{"credsStore":"a b"}',
    '{"credsStore":1}',
    's3cret',
  ])('%s is told what is wrong with it, without its contents', (text) => {
    const account = accountOf(text, 'h.test');
    expect(typeof account).toBe('string');
    expect(account).not.toMatch(/s3cret|czNjcmV0|\.\.\/x/);
  });

  test('helpers are asked as docker asks them', () => {
    for (const key of ['docker.io', 'index.docker.io', 'https://index.docker.io/v1/'])
      expect(told({ credHelpers: { [key]: 'x' } }, 'docker.io/acme')).toMatchObject({ server: 'https://index.docker.io/v1/' });
    expect(told({ credHelpers: { 'ghcr.io/acme': 'x', 'ghcr.io': 'y' } }, 'ghcr.io/acme/team')).toMatchObject({
      helper: 'x',
      server: 'ghcr.io/acme',
    });
    expect(['docker.io', 'docker.io/acme', 'ghcr.io'].map(serverOf)).toEqual([
      'https://index.docker.io/v1/',
      'https://index.docker.io/v1/',
      'ghcr.io',
    ]);
  });
});

const files = {
  '/etc/test/s': 's3cret\n',
  '/etc/test/key.json': JSON.stringify({ type: 'service_account', client_email: 'e', private_key: 'k' }),
  '/etc/test/other.json': JSON.stringify({ type: 'external_account' }),
  '/etc/test/d.json': JSON.stringify({ auths: { 'h.test:5000': { auth: base64('u:p') } } }),
};
const ECR = '111122223333.dkr.ecr.eu-west-1.amazonaws.com';

describe('an account', () => {
  const secret = expect.any(Secret);
  const acr = {
    kind: 'acr',
    tenant: undefined,
    clientid: undefined,
    secret: undefined,
    tokenfile: undefined,
    authority: undefined,
  };
  test.each([
    ['h.test', 'username: u, password: p', { kind: 'password', username: 'u', password: secret }],
    ['h.test', 'username: u, passwordfile: s', { kind: 'password', username: 'u', password: { file: '/etc/test/s' } }],
    ['h.test', 'token: t', { kind: 'bearer', token: secret }],
    ['h.test', 'tokenfile: s', { kind: 'bearer', token: { file: '/etc/test/s' } }],
    ['h.test', 'identitytoken: t', { kind: 'identity', username: '<token>', token: secret }],
    ['h.test', 'username: u, identitytokenfile: s', { kind: 'identity', username: 'u', token: { file: '/etc/test/s' } }],
    ['h.test:5000', 'config: d.json', { kind: 'docker', file: '/etc/test/d.json', name: 'h.test:5000' }],
    ['h.test', 'helper: ecr-login', { kind: 'helper', helper: 'ecr-login', name: 'h.test' }],
    [ECR, 'ecr: {}', { kind: 'ecr', region: 'eu-west-1', endpoint: undefined }],
    [ECR, 'ecr: ', { kind: 'ecr', region: 'eu-west-1', endpoint: undefined }],
    [
      '111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com',
      'ecr: {}',
      { kind: 'ecr', region: 'us-gov-west-1', endpoint: undefined },
    ],
    ['111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn', 'ecr: {}', { kind: 'ecr', region: 'cn-north-1', endpoint: undefined }],
    ['111122223333.dkr-ecr.eu-west-1.on.aws', 'ecr: {}', { kind: 'ecr', region: 'eu-west-1', endpoint: undefined }],
    [
      'h.test',
      'ecr: { region: eu-west-1, endpoint: "http://e.test/" }',
      { kind: 'ecr', region: 'eu-west-1', endpoint: 'http://e.test' },
    ],
    ['h.test', 'gcp: ', { kind: 'gcp', keyfile: undefined }],
    ['h.test', 'gcp: { keyfile: key.json }', { kind: 'gcp', keyfile: '/etc/test/key.json' }],
    ['h.test', 'acr: {}', acr],
    ['h.test', 'acr: { clientid: c }', { ...acr, clientid: 'c' }],
    [
      'h.test',
      'acr: { tenant: dir, clientid: c, clientsecretfile: s }',
      { ...acr, tenant: 'dir', clientid: 'c', secret: { file: '/etc/test/s' } },
    ],
    ['h.test', 'acr: { tokenfile: s }', { ...acr, tokenfile: '/etc/test/s' }],
  ])('%s: { %s }, the same for an upstream', async (registry, written, account) => {
    const yaml = `credentials: { "${registry}": { ${written} } }\nupstreams: { a: { url: "https://${registry}", ${written} } }\nroutes: [{ match: "**", upstreams: [origin, a] }]\n`;
    const config = await load(yaml, { files });
    expect(config.credentials[0]?.account).toEqual(account);
    expect(config.upstreams.get('a')?.account).toEqual(account);
    // Whoever signs in reads the files again.
    expect([...config.watched.keys()]).toEqual(['/etc/test/config.yml']);
    expect(inspect(config.shown(), { depth: null })).not.toMatch(/s3cret|: '[pt]'/);
  });

  test.each([
    ['username: u', 'credentials."h.test".username: expected a password or passwordfile beside it'],
    ['password: p', 'credentials."h.test": expected a username beside the password'],
    [
      'username: u, password: p, passwordfile: s',
      'credentials."h.test".passwordfile: expected either password or passwordfile, not both',
    ],
    ['token: t, tokenfile: s', 'credentials."h.test".tokenfile: expected either token or tokenfile, not both'],
    ['tokenfile: none', 'credentials."h.test".tokenfile: expected a file, but there is no /etc/test/none'],
    ['username: u, password: p, helper: x', 'credentials."h.test".helper: expected either password or helper, not both'],
    ['username: u, token: t', 'credentials."h.test".username: expected a password or passwordfile beside it'],
    ['ecr: {}, acr: {}', 'credentials."h.test".acr: expected either ecr or acr, not both'],
    ['helper: ../x', 'credentials."h.test".helper: expected the NAME of a docker-credential-NAME program, such as ecr-login'],
    ['config: none', 'credentials."h.test".config: expected a file, but there is no /etc/test/none'],
    [
      'config: d.json',
      'credentials."h.test".config: expected an entry for h.test under its "auths" or "credHelpers", or a "credsStore"',
    ],
    ['ecr: {}', 'credentials."h.test".ecr: expected a region in it: the host is not ACCOUNT.dkr.ecr.REGION.amazonaws.com'],
    ['ecr: { region: "x/y" }', 'credentials."h.test".ecr.region: expected an AWS region such as eu-west-1'],
    [
      'gcp: { keyfile: s }',
      'credentials."h.test".gcp.keyfile: expected the JSON key of a service account (type, client_email, private_key); no other kind of Google credentials is known here',
    ],
    [
      'gcp: { keyfile: other.json }',
      'credentials."h.test".gcp.keyfile: expected the JSON key of a service account (type, client_email, private_key); no other kind of Google credentials is known here',
    ],
    ['acr: { clientsecret: s }', 'credentials."h.test".acr: expected tenant and clientid beside the clientsecret'],
    [
      'acr: { tenant: t, clientid: c, clientsecret: s, tokenfile: s }',
      'credentials."h.test".acr.tokenfile: expected either tokenfile or clientsecret, not both',
    ],
    ['', 'credentials."h.test": expected username and password, token, config, helper, ecr, gcp or acr'],
  ])('{ %s } is refused', async (written, fault) => {
    const message = await refusal(`credentials: { h.test: { ${written} } }\n${ROUTES}`, { files });
    expect(message.replace(/^config\.yml:\d+:\d+: /, '')).toBe(fault);
  });
});
