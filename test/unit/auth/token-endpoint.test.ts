import { beforeEach, describe, expect, test } from 'vitest';
import type { TokenAnswer, TokenEndpoint } from '../../../src/auth/auth.ts';
import type { AuthEvent } from '../../../src/auth/events.ts';
import { createRefreshTokens } from '../../../src/auth/refresh-tokens.ts';
import type { Subject } from '../../../src/auth/subject.ts';
import { createTokenEndpoint, type TokenEndpointOptions } from '../../../src/auth/token-endpoint.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';
import { AUDIENCE, emptyStore, startNode, type Node } from './token-house.ts';

const PULL = 'repository:library/alpine:pull';
const PRIVATE = 'repository:acme/app:pull';

const basic = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

describe('/token', () => {
  let node: Node;
  let options: TokenEndpointOptions;
  let endpoint: TokenEndpoint;
  /** `name:password` of every password that was looked at. */
  let looked: string[];
  let passwordOfAnn: string;
  let events: AuthEvent[];

  beforeEach(() => {
    node = startNode(emptyStore());
    looked = [];
    events = [];
    passwordOfAnn = 'right';
    const stands = async (_subject: Subject, fingerprint: string | undefined): Promise<boolean> =>
      fingerprint === undefined || fingerprint === `of ${passwordOfAnn}`;
    options = {
      passwords: {
        verify: async (name, password, client) => {
          looked.push(`${name}:${password}:${client}`);
          if (name === 'limited') throw new RegistryError('TOOMANYREQUESTS', 'too many that were wrong');
          return name === 'ann' && password === passwordOfAnn ? { kind: 'user', name } : undefined;
        },
        recognize: async (name, password) => {
          if (name === 'down') throw new Error('the file cannot be read');
          if (name === 'limited') throw new RegistryError('TOOMANYREQUESTS', 'too many that were wrong');
          return name === 'ann' && password === passwordOfAnn ? { kind: 'user', name } : undefined;
        },
        stands: async (name, fingerprint) => stands({ kind: 'user', name }, fingerprint),
        fingerprint: (name) => (name === 'ann' || name === 'limited' ? `of ${passwordOfAnn}` : undefined),
      },
      machineTokens: {
        isOne: (text) => text.startsWith('machine-'),
        verify: async (text) => (text === 'machine-ci' ? { kind: 'token', name: 'ci', id: 'a1' } : undefined),
        stands: async () => true,
      },
      signInTokens: {
        isOne: (text) => text.startsWith('ey'),
        verify: async (text) => {
          if (text === 'ey-down') throw new Error('the issuer cannot be reached');
          return text === 'ey-ok' ? { kind: 'oidc', issuer: 'github', id: 'repo:x', claims: {} } : undefined;
        },
      },
      own: node.tokens,
      refresh: createRefreshTokens({
        records: node.records.refreshTokens,
        clock: node.clock,
        random: createSeededRandom(7),
        stands,
        isMissing: () => false,
      }),
      path: '/hub/token',
      anyoneMayPull: ({ name, host }) => name.startsWith('library/') && host === 'mirror.example.test',
      passesOn: ({ name, ns }) => (name.startsWith('library/passed') ? (ns ?? 'docker.io') : undefined),
      report: (event) => events.push(event),
    };
    endpoint = createTokenEndpoint(options);
  });

  const asking = (authorization?: string) => ({
    authorization,
    host: 'mirror.example.test',
    publicUrl: 'https://mirror.example.test',
    client: '10.0.0.7',
    certificate: undefined,
    requestId: 'r1',
  });
  const get = (query: string, authorization?: string): Promise<TokenAnswer> =>
    endpoint({ ...asking(authorization), method: 'GET', parameters: new URLSearchParams(query) });
  const post = (form: Record<string, string>): Promise<TokenAnswer> =>
    endpoint({ ...asking(), method: 'POST', parameters: new URLSearchParams(form) });
  /** Whose token it is, and for what. */
  const proven = async ({ status, body }: TokenAnswer) => {
    expect(status).toBe(200);
    expect(body['token']).toBe(body['access_token']);
    return (await node.tokens.verify(body['token'] as string, AUDIENCE))?.identity;
  };
  const refused = async (answer: Promise<TokenAnswer>): Promise<RegistryError> => {
    const error: unknown = await answer.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RegistryError);
    return error as RegistryError;
  };

  test('[P115] answers as the specification says', async () => {
    const { body, headers } = await get(`service=x&scope=${PRIVATE}&client_id=docker&account=ann`, basic('ann', 'right'));
    expect(Object.keys(body)).toEqual(['token', 'access_token', 'expires_in', 'issued_at']);
    expect(body).toMatchObject({ expires_in: 900, issued_at: '2026-01-01T00:00:00.000Z' });
    expect(headers).toMatchObject({ 'cache-control': 'no-store' });
  });

  test('without credentials: nobody’s, for what is asked', async () => {
    expect(await proven(await get(`scope=${PULL}&scope=${PRIVATE},push`))).toEqual({
      subject: { kind: 'anyone' },
      scopes: [
        { type: 'repository', name: 'library/alpine', actions: ['pull'] },
        { type: 'repository', name: 'acme/app', actions: ['pull', 'push'] },
      ],
    });
    expect(await proven(await get(''))).toEqual({ subject: { kind: 'anyone' }, scopes: [] });
    // Nobody has nothing to come back with.
    expect((await get('offline_token=true')).body).not.toHaveProperty('refresh_token');
    expect(events).toEqual([]);
  });

  test.each([
    ['a password', 'ann', 'right', { kind: 'user', name: 'ann' }],
    ['a machine token', 'whoever', 'machine-ci', { kind: 'token', name: 'ci', id: 'a1' }],
    ['a sign-in token', '', 'ey-ok', { kind: 'oidc', issuer: 'github', id: 'repo:x', claims: {} }],
  ])('with %s, either way', async (_what, username, password, subject) => {
    expect((await proven(await get(`scope=${PRIVATE}`, basic(username, password))))?.subject).toEqual(subject);
    const form = { grant_type: 'password', username, password, client_id: 'x', service: 'y', scope: `${PRIVATE} ${PULL},push` };
    const answer = await post(form);
    expect(await proven(answer)).toMatchObject({ subject, scopes: [{ name: 'acme/app' }, { actions: ['pull', 'push'] }] });
    expect(answer.body).toMatchObject({ scope: `${PRIVATE} ${PULL},push` });
    expect(events.map((event) => event.kind === 'sign-in' && event.result)).toEqual(['ok', 'ok']);
  });

  describe('credentials that only an upstream knows', () => {
    const PASSED = 'repository:library/passed:pull';

    test('go with the token, sealed, for the registry of the scope', async () => {
      const { body } = await get(`scope=${PASSED}`, basic('hub', 'hubspassword'));
      expect(await proven({ status: 200, headers: {}, body })).toEqual({
        subject: { kind: 'anyone' },
        scopes: [{ type: 'repository', name: 'library/passed', actions: ['pull'] }],
        credentials: { username: 'hub', password: 'hubspassword', registries: ['docker.io'] },
      });
      const [, claims = ''] = String(body['token']).split('.');
      expect(Buffer.from(claims, 'base64url').toString()).not.toContain('hubspassword');
      const named = await proven(await get(`scope=${PASSED}&ns=other.test`, basic('hub', 'hubspassword')));
      expect(named?.credentials?.registries).toEqual(['other.test']);
      expect(events).toEqual([]);
    });

    test('go with no token for what passes none on, for more than a pull, or of somebody who is known', async () => {
      expect((await proven(await get(`scope=${PULL}`, basic('hub', 'hubspassword'))))?.credentials).toBeUndefined();
      await refused(get(`scope=${PASSED},push`, basic('hub', 'hubspassword')));
      await refused(get('', basic('hub', 'hubspassword')));
      const known = await proven(await get(`scope=${PASSED}`, basic('ann', 'right')));
      expect([known?.subject, known?.credentials]).toEqual([{ kind: 'user', name: 'ann' }, undefined]);
      expect((await proven(await get(`scope=${PASSED}`)))?.credentials).toBeUndefined();
    });

    test.each([
      ['a machine token that is revoked', 'whoever', 'machine-old'],
      ['a sign-in token whose issuer cannot be asked', '', 'ey-down'],
      ['a refresh token that has ended', 'ann', `entrepot-refresh-${'0'.repeat(32)}-${'A'.repeat(43)}`],
      ['a password of a user of ours, while it cannot be looked at', 'limited', 'right'],
      ['control characters', 'hub', 'a\u0000b'],
      ['more than a server takes in a line', 'hub', 'x'.repeat(7000)],
    ])('%s goes nowhere', async (_what, username, password) => {
      const answer = await proven(await get(`scope=${PASSED}`, basic(username, password)));
      expect([answer?.subject, answer?.credentials]).toEqual([{ kind: 'anyone' }, undefined]);
    });
  });

  test('a machine token may come as a bearer token; a password may not', async () => {
    expect((await proven(await get(`scope=${PRIVATE}`, 'Bearer machine-ci')))?.subject).toMatchObject({ kind: 'token' });
    await refused(get(`scope=${PRIVATE}`, 'Bearer right'));
    expect(looked).toEqual([]);
  });

  test.each([
    ['a wrong password', basic('ann', 'wrong')],
    ['a user that is not there', basic('bob', 'right')],
    ['a wrong machine token', basic('ann', 'machine-x')],
    ['a wrong sign-in token', basic('ann', 'ey-wrong')],
    ['a refresh token that was never given', basic('ann', `entrepot-refresh-${'0'.repeat(32)}-${'A'.repeat(43)}`)],
    ['what cannot be read', 'Basic !'],
    ['no colon', `Basic ${Buffer.from('ann').toString('base64')}`],
    ['a token in the place of Basic’s value', 'Basic eyJhbGciOiJub25lIn0.e30.c2ln'],
    ['another scheme', 'Digest x'],
    ['no password', basic('ann', '')],
  ])('%s is refused in the same words', async (_what, authorization) => {
    for (const query of ['', `scope=${PRIVATE}`, `scope=${PULL}&offline_token=true`, `scope=${PULL}&scope=${PRIVATE}`]) {
      const error = await refused(get(query, authorization));
      expect([error.status, error.code, error.message]).toEqual([401, 'UNAUTHORIZED', 'user and password are not known here']);
      expect(error.headers['www-authenticate']).toBe('Basic realm="https://mirror.example.test/hub/token"');
    }
  });

  test.each([
    `scope=${PULL}%2Cpush`,
    'scope=repository:library/alpine:*',
    'scope=repository:library/alpine:',
    'scope=registry:catalog:*',
    'scope=registry:library/alpine:pull',
    'scope=repository:library/alpine',
    `scope=${PULL}&scope=nonsense`,
  ])('wrong credentials are refused where not all that is asked is a pull that anyone may make: %s', async (query) => {
    expect((await refused(get(query, basic('hub', 'secret')))).status).toBe(401);
  });

  test('dockerd with a login to Docker Hub pulls what anyone may, and its password counts for nothing', async () => {
    const subject = { kind: 'anyone' };
    expect(await proven(await get(`scope=${PULL}&account=hub`, basic('hub', 'secret')))).toMatchObject({ subject });
    expect(await proven(await get(`scope=${PULL}`, basic('ann', 'wrong')))).toMatchObject({ subject });
    expect(await proven(await get(`scope=${PULL}`, basic('limited', 'x')))).toMatchObject({ subject });
    expect(await proven(await get(`scope=${PULL}`, 'Basic !'))).toMatchObject({ subject });
    expect(await proven(await get(`scope=${PULL}`, basic('x', 'machine-x')))).toMatchObject({ subject });
    expect(await proven(await get(`scope=${PULL}`, basic('x', 'ey-down')))).toMatchObject({ subject });
    expect(await proven(await get(`scope=${PULL}`, basic('down', 'x')))).toMatchObject({ subject });
    const hubs = { grant_type: 'refresh_token', refresh_token: 'of-docker-hub', scope: PULL };
    expect(await proven(await post(hubs))).toMatchObject({ subject });
    expect(await proven(await post({ ...hubs, grant_type: 'password', username: 'a', password: 'b' }))).toMatchObject({
      subject,
    });
    expect(looked).toEqual([]);
    expect(events).toEqual([]);
    // Who has a secret that nobody could guess is known all the same.
    expect(await proven(await get(`scope=${PULL}`, basic('x', 'machine-ci')))).toMatchObject({ subject: { kind: 'token' } });
    expect(events).toMatchObject([{ kind: 'sign-in', way: 'machine-token', result: 'ok' }]);
  });

  test('who gives their password is known by it, though anyone may have what a scope spells: it may be asked for by `ns`', async () => {
    const answer = await get(`scope=${PULL}`, basic('ann', 'right'));
    expect(await proven(answer)).toMatchObject({ subject: { kind: 'user', name: 'ann' } });
    expect((await node.tokens.verify(answer.body['token'] as string, AUDIENCE))?.fingerprint).toBe('of right');
  });

  test('what cannot be found out is not refused', async () => {
    await expect(get(`scope=${PRIVATE}`, basic('x', 'ey-down'))).rejects.toThrow('the issuer cannot be reached');
    expect((await refused(get('', basic('limited', 'x')))).status).toBe(429);
    expect((await refused(post({ grant_type: 'password', username: 'limited', password: 'x' }))).status).toBe(429);
    expect(looked).toEqual(['limited:x:10.0.0.7', 'limited:x:10.0.0.7']);
  });

  describe('docker login', () => {
    const login = async (): Promise<string> =>
      (await get('account=ann&client_id=docker&offline_token=true&service=x', basic('ann', 'right'))).body[
        'refresh_token'
      ] as string;

    test('gets what it keeps instead of the password, and goes on with it', async () => {
      const refresh_token = await login();
      const form = { grant_type: 'refresh_token', refresh_token, client_id: 'docker', service: 'x', scope: PRIVATE };
      for (const _ of [1, 2, 3]) {
        const answer = await post(form);
        expect(await proven(answer)).toMatchObject({ subject: { kind: 'user', name: 'ann' } });
        expect(answer.body).not.toHaveProperty('refresh_token');
      }
      // Programs that know no such thing send it as a password.
      expect(await proven(await get(`scope=${PRIVATE}`, basic('<token>', refresh_token)))).toMatchObject({
        subject: { name: 'ann' },
      });
      const token = (await post(form)).body['token'] as string;
      expect((await node.tokens.verify(token, AUDIENCE))?.fingerprint).toBe('of right');
      passwordOfAnn = 'new';
      expect((await post(form)).status).toBe(400);
    });

    test('by form too, but only where it asks for it', async () => {
      const form = { grant_type: 'password', username: 'ann', password: 'right', scope: PULL };
      expect((await post({ ...form, access_type: 'online' })).body).not.toHaveProperty('refresh_token');
      expect((await post({ ...form, access_type: 'offline' })).body).toHaveProperty('refresh_token');
    });

    test('with a sign-in token gets none: it would be good for longer than its issuer says', async () => {
      const answer = await get('offline_token=true', basic('x', 'ey-ok'));
      expect(answer.status).toBe(200);
      expect(answer.body).not.toHaveProperty('refresh_token');
    });

    test('is refused a refresh token of another Host', async () => {
      const refresh_token = await login();
      const parameters = new URLSearchParams({ grant_type: 'refresh_token', refresh_token });
      const elsewhere = { ...asking(), publicUrl: 'https://other.test', method: 'POST' as const, parameters };
      expect((await endpoint(elsewhere)).status).toBe(400);
    });

    test('is refused where the password is changed while it is looked at', async () => {
      const { passwords } = options;
      if (passwords === undefined) throw new Error('there are passwords');
      const verify: typeof passwords.verify = async (...given) => {
        const subject = await passwords.verify(...given);
        passwordOfAnn = 'new';
        return subject;
      };
      endpoint = createTokenEndpoint({ ...options, passwords: { ...passwords, verify } });
      expect((await refused(get('offline_token=true', basic('ann', 'right')))).status).toBe(401);
    });
  });

  test.each<[Record<string, string>, string]>([
    [{}, 'invalid_request'],
    [{ grant_type: 'password', username: 'ann' }, 'invalid_request'],
    [{ grant_type: 'password', password: 'x' }, 'invalid_request'],
    [{ grant_type: 'refresh_token' }, 'invalid_request'],
    [{ grant_type: 'authorization_code', code: 'x' }, 'unsupported_grant_type'],
    [{ grant_type: 'password', username: 'ann', password: 'wrong' }, 'invalid_grant'],
    [{ grant_type: 'refresh_token', refresh_token: 'x', scope: PRIVATE }, 'invalid_grant'],
    [{ grant_type: 'password', username: 'ann', password: 'right', scope: `${PULL} `.repeat(101) }, 'invalid_scope'],
  ])('a form that says %j: %s, for either kind of client', async (form, error) => {
    const { status, body } = await post(form);
    expect(status).toBe(400);
    expect(body).toMatchObject({ error, error_description: expect.any(String) as string });
    const [first] = body['errors'] as { code: string; message: string }[];
    expect(first).toEqual({
      code: error === 'invalid_grant' ? 'UNAUTHORIZED' : 'UNSUPPORTED',
      message: body['error_description'] as string,
    });
    // RFC 6749 5.2.
    expect(body['error_description']).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  });

  test('ten thousand scopes are refused at once', async () => {
    const error = await refused(get(Array.from({ length: 10_000 }, (_, at) => `scope=repository:a${at}:pull`).join('&')));
    expect([error.status, error.message]).toEqual([400, expect.stringContaining('more than 100 scopes')]);
  });

  test('where the Host is no address there is no token', async () => {
    const question = { ...asking(), publicUrl: undefined, method: 'GET' as const, parameters: new URLSearchParams() };
    expect((await refused(endpoint(question))).status).toBe(400);
  });
});
