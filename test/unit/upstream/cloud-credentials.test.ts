import { createVerify, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { acrSource, type AzureIdentity } from '../../../src/upstream/credentials/acr.ts';
import { ecrSource } from '../../../src/upstream/credentials/ecr.ts';
import { gcpSource } from '../../../src/upstream/credentials/gcp.ts';
import type { Source } from '../../../src/upstream/credentials/kept.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { answer, json, never, serve, type Handler, type TestServer } from './servers.ts';

const SECRET = 's3cret';
const deps = (env: Record<string, string> = {}) => ({ clock: systemClock, env });

/** What the source fails with, which holds no secret. */
async function failure(source: Source): Promise<{ message: string; refused: boolean }> {
  const thrown: unknown = await source.get(never).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ name: 'CredentialsUnavailable' });
  expect(String(thrown)).not.toContain(SECRET);
  const { message, refused } = thrown as { message: string; refused: boolean };
  return { message, refused };
}

const form = (body: string): Record<string, string> => Object.fromEntries(new URLSearchParams(body));

/** What every endpoint may do wrong, and whether that was a No. */
const TROUBLE: readonly (readonly [string, Handler, RegExp, boolean])[] = [
  ['500', (_request, response) => json(response, 500, { error: SECRET }), /answered 500$/, false],
  ['429', (_request, response) => answer(response, 429), /answered 429$/, false],
  [
    '401',
    (_request, response) => json(response, 401, { error: 'invalid_client', error_description: SECRET }),
    /answered 401 \(invalid_client\)$/,
    true,
  ],
  ['a redirect', (_request, response) => answer(response, 302, { location: 'http://127.0.0.1:1/' }), /answered 302$/, false],
  ['no JSON', (_request, response) => answer(response, 200, {}, SECRET), /sent no (access|refresh)_token$/, false],
  [
    'an odd token',
    (_request, response) => json(response, 200, { access_token: 'a\r\nb', refresh_token: 'a b' }),
    /sent no (access|refresh)_token$/,
    false,
  ],
  ['too much', (_request, response) => answer(response, 200, {}, Buffer.alloc(300_000, 'x')), /said too much$/, false],
  ['nothing', (request) => request.socket.destroy(), /cannot be asked/, false],
];

describe('Google', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const keyOf = (server: TestServer, more = {}): string =>
    JSON.stringify({
      type: 'service_account',
      client_email: 'me@x.test',
      private_key: pem,
      private_key_id: 'k1',
      token_uri: `${server.origin}/token`,
      ...more,
    });

  test('a key of a service account signs for a token, which is a password', async () => {
    const server = await serve((_request, response) => json(response, 200, { access_token: 'ya29.x', expires_in: 3599 }));
    const grant = await gcpSource({ key: async () => keyOf(server) }, deps()).get(never);
    expect(grant).toEqual({
      credentials: { kind: 'password', username: 'oauth2accesstoken', password: 'ya29.x' },
      lifetimeMs: 3_599_000,
    });
    const { grant_type, assertion = '' } = form(server.seen[0]!.body);
    expect(grant_type).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    const [head = '', claims = '', signature = ''] = assertion.split('.');
    expect(createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(publicKey, signature, 'base64url')).toBe(true);
    const read = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(read(head)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'k1' });
    expect(read(claims)).toMatchObject({
      iss: 'me@x.test',
      aud: `${server.origin}/token`,
      scope: expect.stringContaining('cloud-platform'),
    });
    const { iat, exp } = read(claims) as { iat: number; exp: number };
    expect([exp - iat, Math.abs(iat - Date.now() / 1000) < 60]).toEqual([3600, true]);
  });

  test('without a key the metadata server is asked, past every proxy', async () => {
    const server = await serve((request, response) =>
      request.headers['metadata-flavor'] === 'Google'
        ? json(response, 200, { access_token: 'ya29.m', expires_in: 1200, token_type: 'Bearer' })
        : answer(response, 403),
    );
    const env = { GCE_METADATA_HOST: server.host, http_proxy: 'http://127.0.0.1:1' };
    expect(await gcpSource({}, deps(env)).get(never)).toMatchObject({
      credentials: { password: 'ya29.m' },
      lifetimeMs: 1_200_000,
    });
    expect(server.seen[0]?.line).toBe('GET /computeMetadata/v1/instance/service-accounts/default/token');
  });

  test.each(TROUBLE)('%s', async (_what, handler, why, refused) => {
    const server = await serve(handler);
    const told = await failure(gcpSource({ key: async () => keyOf(server) }, deps()));
    expect(told).toEqual({ message: expect.stringMatching(why), refused });
  });

  test.each([
    ['', /is not JSON/],
    ['{"type":"external_account"}', /holds no service account/],
    [JSON.stringify({ type: 'service_account', client_email: 'a', private_key: SECRET }), /cannot sign/],
    [
      JSON.stringify({ type: 'service_account', client_email: 'a', private_key: SECRET, token_uri: 'file:///etc/passwd' }),
      /no service account/,
    ],
  ])('the key %j asks nobody', async (text, why) => {
    expect(await failure(gcpSource({ key: async () => text }, deps()))).toEqual({
      message: expect.stringMatching(why),
      refused: true,
    });
  });

  test('another key is another input', async () => {
    let text = 'a';
    const source = gcpSource({ key: async () => text }, deps());
    const before = await source.inputs();
    text = 'b';
    expect(await source.inputs()).not.toBe(before);
    expect(before).not.toContain('a'.repeat(2));
  });
});

describe('Azure', () => {
  /** Entra ID, the machine's metadata and the registry's exchange in one. */
  const azure: Handler = (request, response, body) => {
    if (request.url === '/oauth2/exchange') {
      return form(body)['access_token'] === 'aad' ? json(response, 200, { refresh_token: 'refresh' }) : json(response, 401, {});
    }
    if (request.url?.startsWith('/metadata/') && request.headers['metadata'] !== 'true') return answer(response, 400);
    json(response, 200, { access_token: 'aad', expires_in: '3599' });
  };
  const sourceOf = (server: TestServer, identity: AzureIdentity, env = {}): Source =>
    acrSource({ identity, authority: server.url, registry: server.url }, deps(env));
  const principal: AzureIdentity = { kind: 'principal', tenant: 't', client: 'c', secret: async () => SECRET };

  test('a service principal gets a token, and exchanges it for an identity token', async () => {
    const server = await serve(azure);
    expect((await sourceOf(server, principal).get(never)).credentials).toEqual({
      kind: 'identity',
      username: '00000000-0000-0000-0000-000000000000',
      token: 'refresh',
    });
    expect(server.seen.map(({ line, body }) => [line, form(body)])).toEqual([
      [
        'POST /t/oauth2/v2.0/token',
        {
          grant_type: 'client_credentials',
          client_id: 'c',
          client_secret: SECRET,
          scope: 'https://containerregistry.azure.net/.default',
        },
      ],
      ['POST /oauth2/exchange', { grant_type: 'access_token', service: server.host, access_token: 'aad' }],
    ]);
  });

  test('a workload shows the token of its file', async () => {
    const server = await serve(azure);
    await sourceOf(server, { kind: 'workload', tenant: 't/../x', client: 'c', token: async () => 'jwt\n' }).get(never);
    expect(server.seen[0]?.line).toBe('POST /t%2F..%2Fx/oauth2/v2.0/token');
    expect(form(server.seen[0]!.body)).toMatchObject({
      client_assertion: 'jwt',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
  });

  test('a managed identity asks its machine, past every proxy', async () => {
    const server = await serve(azure);
    const proxy = await serve((_request, response) => json(response, 200, { refresh_token: 'refresh' }));
    const env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: server.origin, http_proxy: proxy.origin };
    await sourceOf(server, { kind: 'managed', client: 'c' }, env).get(never);
    expect(proxy.seen.map(({ line }) => line)).toEqual([`POST ${server.origin}/oauth2/exchange`]);
    expect(server.seen[0]?.line).toBe(
      'GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcontainerregistry.azure.net&client_id=c',
    );
  });

  test.each(TROUBLE)('Entra ID: %s', async (_what, handler, why, refused) => {
    const server = await serve(handler);
    expect(await failure(sourceOf(server, principal))).toEqual({ message: expect.stringMatching(why), refused });
  });

  test.each(TROUBLE)('the exchange: %s', async (_what, handler, why, refused) => {
    const server = await serve((request, response, body) =>
      request.url === '/oauth2/exchange' ? handler(request, response, body) : azure(request, response, body),
    );
    expect(await failure(sourceOf(server, principal))).toEqual({ message: expect.stringMatching(why), refused });
  });
});

describe('Amazon', () => {
  beforeEach(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', SECRET);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
  });
  afterEach(() => void vi.unstubAllEnvs());

  const sourceOf = (server: TestServer): Source => ecrSource({ region: 'eu-west-1', endpoint: server.url }, deps());
  const token = Buffer.from(`AWS:${SECRET}`).toString('base64');

  test('GetAuthorizationToken yields a password until it ends', async () => {
    const server = await serve((_request, response) =>
      json(response, 200, {
        authorizationData: [{ authorizationToken: token, expiresAt: Date.now() / 1000 + 600, proxyEndpoint: 'x' }],
      }),
    );
    const grant = await sourceOf(server).get(never);
    expect(grant.credentials).toEqual({ kind: 'password', username: 'AWS', password: SECRET });
    expect(Math.abs(grant.lifetimeMs - 600_000)).toBeLessThan(20_000);
    const [seen] = server.seen;
    expect(seen?.headers['x-amz-target']).toBe('AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken');
    expect(seen?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/ecr\/aws4_request/,
    );
    expect(seen?.body).toBe('{}');
  });

  test('goes through the proxy of the environment', async () => {
    const server = await serve((_request, response) =>
      json(response, 200, { authorizationData: [{ authorizationToken: token, expiresAt: Date.now() / 1000 + 600 }] }),
    );
    const options = { region: 'eu-west-1', endpoint: new URL('http://ecr.invalid/') };
    await ecrSource(options, deps({ http_proxy: server.origin })).get(never);
    expect(server.seen[0]?.line).toBe('POST http://ecr.invalid/');
  });

  test.each([
    ['AccessDeniedException', 400, true],
    ['UnrecognizedClientException', 403, true],
    ['ThrottlingException', 400, false],
    ['ServerException', 500, false],
  ])('%s with %i', async (name, status, refused) => {
    const server = await serve((_request, response) =>
      json(response, status, { __type: name, message: `User ${SECRET} may not` }, { 'x-amzn-errortype': name }),
    );
    expect(await failure(sourceOf(server))).toEqual({ message: `ECR's GetAuthorizationToken failed (${name})`, refused });
  });

  test('an answer without a token is none', async () => {
    const server = await serve((_request, response) => json(response, 200, { authorizationData: [] }));
    expect(await failure(sourceOf(server))).toEqual({ message: 'ECR sent no token', refused: false });
  });

  test('without credentials of our own nothing is asked', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    const server = await serve((_request, response) => answer(response, 200));
    expect((await failure(sourceOf(server))).message).toMatch(/failed \(CredentialsProviderError\)$/);
    expect(server.seen).toEqual([]);
  });

  test('a web identity is exchanged at STS first, our way', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined);
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::111122223333:role/x');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', import.meta.filename);
    const server = await serve((request, response, body) => {
      if (!body.includes('AssumeRoleWithWebIdentity')) {
        return json(response, 200, { authorizationData: [{ authorizationToken: token, expiresAt: Date.now() / 1000 + 600 }] });
      }
      expect(request.headers.authorization).toBeUndefined();
      const until = new Date(Date.now() + 3600_000).toISOString();
      answer(
        response,
        200,
        { 'content-type': 'text/xml' },
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>s</SessionToken><Expiration>${until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      );
    });
    vi.stubEnv('AWS_ENDPOINT_URL_STS', server.origin);
    await sourceOf(server).get(never);
    expect(server.seen.at(-1)?.headers.authorization).toContain('Credential=ASIAEXAMPLE/');
  });
});
