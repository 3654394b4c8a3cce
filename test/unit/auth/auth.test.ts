import { describe, expect, test } from 'vitest';
import { createAccess } from '../../../src/auth/access.ts';
import { createAuth, type Asking, type Auth, type AuthOptions } from '../../../src/auth/auth.ts';
import type { ChallengeKind } from '../../../src/auth/challenge.ts';
import type { AuthEvent } from '../../../src/auth/events.ts';
import { NO_WAYS, type Ways } from '../../../src/auth/identify.ts';
import { ANYONE, NOBODY, type Identity } from '../../../src/auth/subject.ts';
import { RegistryError } from '../../../src/oci/errors.ts';
import { noSuchName } from '../../../src/oci/no-such-name.ts';

const OWN: ChallengeKind = { kind: 'own', path: '/token' };
const BASIC: ChallengeKind = { kind: 'basic', realm: 'acme' };
const APP = { holder: 'acme.test/app', spelt: 'app' };

const asking = (over: Partial<Asking> = {}): Asking => ({
  authorization: undefined,
  host: 'mirror.test:5000',
  publicUrl: 'https://mirror.test:5000',
  client: '192.0.2.1',
  certificate: undefined,
  requestId: 'r1',
  passesOn: () => false,
  ...over,
});

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

const pull = (who: 'anyone' | 'signed-in') => ({
  match: ['**'],
  allow: { pull: [{ kind: who } as const], push: [], delete: [] },
  at: 'f:1',
});

/** ann with a password, ci with a machine token, and tokens of our own `own <who> <scope name> <action>`. */
function house(options: Partial<AuthOptions> & { readonly pullBy?: 'anyone' | 'signed-in' } = {}) {
  const events: AuthEvent[] = [];
  const heard: string[] = [];
  const standing = { ann: true, ci: true };
  const ways: Ways = {
    passwords: {
      async verify(username, password) {
        heard.push(`${username}:${password}`);
        return username === 'ann' && password === 'right' ? { kind: 'user', name: 'ann' } : undefined;
      },
      async recognize(username, password) {
        if (password === 'unheard') throw new RegistryError('TOOMANYREQUESTS', 'too many that were wrong');
        return username === 'ann' && password === 'right' ? { kind: 'user', name: 'ann' } : undefined;
      },
      stands: async (username) => username === 'ann' && standing.ann,
      fingerprint: (username) => (username === 'ann' ? 'f' : undefined),
    },
    machineTokens: {
      isOne: (text) => text.startsWith('entrepot_'),
      verify: async (text) => (text === 'entrepot_ci' && standing.ci ? { kind: 'token', name: 'ci', id: '1' } : undefined),
      stands: async () => standing.ci,
    },
    signInTokens: undefined,
    own: {
      isOne: async (token) => token.startsWith('own.'),
      async verify(token, audience) {
        const [, who, name, action] = token.split('.');
        if (audience !== 'mirror.test:5000' || name === undefined || action === undefined) return undefined;
        const scopes = [{ type: name === 'catalog' ? 'registry' : 'repository', name, actions: [action] }];
        const subject =
          who === 'ann'
            ? ({ kind: 'user', name: 'ann' } as const)
            : who === 'ci'
              ? ({ kind: 'token', name: 'ci', id: '1' } as const)
              : ANYONE;
        return { identity: { subject, scopes }, fingerprint: who === 'ann' ? 'f' : undefined };
      },
      issue: async () => ({ token: '', expiresIn: 60, issuedAt: 0 }),
    },
    foreign: undefined,
  };
  const auth = createAuth({
    access: createAccess({
      rules: options.pullBy === undefined ? undefined : [pull(options.pullBy)],
      groups: new Map(),
      signsIn: true,
    }),
    challenge: OWN,
    ways,
    openHosts: [],
    token: undefined,
    report: (event) => events.push(event),
    ...options,
  });
  return { auth, events, heard, standing };
}

async function refusal(work: Promise<unknown> | (() => void)): Promise<RegistryError> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

const field = (error: RegistryError): string | undefined => error.headers['www-authenticate'];

describe('who are you', () => {
  test('nobody is asked where nobody can sign in, and what they send is not looked at', async () => {
    const { auth, heard } = house({ challenge: undefined });
    expect(await auth.identify(asking({ authorization: basic('ann', 'wrong') }))).toEqual(NOBODY);
    expect(heard).toEqual([]);
  });

  test.each([
    ['where people sign in', []],
    ['on an open Host', ['mirror.test']],
  ])('%s: what may be ours is shown to no upstream', async (_where, openHosts) => {
    const { auth } = house({ openHosts });
    const passed = async (user: string, password: string) =>
      (await auth.identify(asking({ authorization: basic(user, password), passesOn: () => true }))).credentials;
    expect(await passed('hub', 'hubs')).toEqual({ username: 'hub', password: 'hubs' });
    expect(await passed('ann', 'of-docker-hub')).toEqual({ username: 'ann', password: 'of-docker-hub' });
    expect(await passed('hub', 'unheard')).toEqual({ username: 'hub', password: 'unheard' });
    for (const [user, password] of [
      ['ann', 'right'],
      ['ann', 'unheard'],
      ['x', 'entrepot_revoked'],
      ['x', 'entrepot_ci'],
      ['hub', 'a\nb'],
    ] as const)
      expect([user, await passed(user, password)]).toEqual([user, undefined]);
  });

  test.each(['mirror.test', 'mirror.test:5000', 'MIRROR.test'])(
    'on %s, which is open, nobody is asked either',
    async (host) => {
      const { auth, heard } = house({ openHosts: ['mirror.test'] });
      expect(await auth.identify(asking({ host, authorization: basic('ann', 'wrong') }))).toEqual(NOBODY);
      expect(heard).toEqual([]);
    },
  );

  test('one challenge for the whole Host: ours, with realm and service of the address by which the client came', async () => {
    const { auth } = house();
    const error = await refusal(auth.identify(asking()));
    expect([error.status, error.code]).toEqual([401, 'UNAUTHORIZED']);
    expect(field(error)).toBe('Bearer realm="https://mirror.test:5000/token",service="mirror.test:5000"');
  });

  test('Basic where that is the challenge; and Basic credentials are taken either way', async () => {
    const { auth } = house({ challenge: BASIC });
    expect(field(await refusal(auth.identify(asking())))).toBe('Basic realm="acme"');
    for (const { auth: each } of [house(), house({ challenge: BASIC })]) {
      const identity = await each.identify(asking({ authorization: basic('ann', 'right') }));
      expect(identity).toEqual({ subject: { kind: 'user', name: 'ann' }, scopes: undefined });
    }
  });

  test('another token server: its realm and service, or its path at this Host', async () => {
    const foreign = { kind: 'foreign', realm: 'https://auth.test/token', service: 'reg', redirectPath: undefined } as const;
    expect(field(await refusal(house({ challenge: foreign }).auth.identify(asking())))).toBe(
      'Bearer realm="https://auth.test/token",service="reg"',
    );
    const here = house({ challenge: { ...foreign, redirectPath: '/auth/token' } });
    expect(field(await refusal(here.auth.identify(asking())))).toBe(
      'Bearer realm="https://mirror.test:5000/auth/token",service="reg"',
    );
  });

  test('no challenge is made of a Host that is no address', async () => {
    expect(field(await refusal(house().auth.identify(asking({ publicUrl: undefined }))))).toBeUndefined();
  });

  test.each([
    'Basic',
    'Basic !!!',
    `Basic ${Buffer.from('nocolon').toString('base64')}`,
    'Digest x',
    'Bearer',
    'Bearer a b',
    '',
  ])('%j is refused, and asked of nobody', async (authorization) => {
    const { auth, heard } = house();
    expect((await refusal(auth.identify(asking({ authorization })))).status).toBe(401);
    expect(heard).toEqual([]);
  });

  test('a token that is not good is reported, one of ours too', async () => {
    const { auth, events, standing } = house();
    const asked = { requestId: 'r1', client: '192.0.2.1', user: undefined };
    const wrong = { kind: 'sign-in', way: 'token', result: 'refused', ...asked };
    standing.ann = false;
    for (const token of ['own.ann.app.pull', 'own.ann', 'e30.e30.e30'])
      await refusal(auth.identify(asking({ authorization: `Bearer ${token}` })));
    expect(events).toEqual([wrong, wrong, wrong]);
    standing.ann = true;
    await auth.identify(asking({ authorization: 'Bearer own.ann.app.pull' }));
    expect(events).toHaveLength(3);
  });

  test('a wrong password and an unknown user are told the same', async () => {
    const { auth, events } = house();
    const wrong = await refusal(auth.identify(asking({ authorization: basic('ann', 'wrong') })));
    const unknown = await refusal(auth.identify(asking({ authorization: basic('nobody', 'wrong') })));
    expect([wrong.toBody(), wrong.headers]).toEqual([unknown.toBody(), unknown.headers]);
    expect(events).toEqual([
      { kind: 'sign-in', way: 'password', result: 'refused', requestId: 'r1', client: '192.0.2.1', user: 'ann' },
      // [S49] Which is no user may be a password.
      { kind: 'sign-in', way: 'password', result: 'refused', requestId: 'r1', client: '192.0.2.1', user: undefined },
    ]);
  });

  test('a password may hold colons, and a name none', async () => {
    const { auth, heard } = house();
    await refusal(auth.identify(asking({ authorization: basic('ann', 'a:b:c') })));
    expect(heard).toEqual(['ann:a:b:c']);
  });

  test('a machine token is a password with any name, and a bearer token', async () => {
    const { auth, heard } = house();
    const expected = { subject: { kind: 'token', name: 'ci', id: '1' }, scopes: undefined };
    expect(await auth.identify(asking({ authorization: basic('whoever', 'entrepot_ci') }))).toEqual(expected);
    expect(await auth.identify(asking({ authorization: 'Bearer entrepot_ci' }))).toEqual(expected);
    expect((await refusal(auth.identify(asking({ authorization: basic('ann', 'entrepot_no') })))).status).toBe(401);
    expect(heard).toEqual([]);
  });

  test('a token of ours is for one Host, and for as long as its subject stands', async () => {
    const { auth, standing } = house();
    const sent = asking({ authorization: 'Bearer own.ann.app.pull' });
    expect((await auth.identify(sent)).subject).toEqual({ kind: 'user', name: 'ann' });
    const elsewhere = await refusal(auth.identify({ ...sent, publicUrl: 'https://other.test' }));
    expect(field(elsewhere)).toBe('Bearer realm="https://other.test/token",service="other.test",error="invalid_token"');
    standing.ann = false;
    expect((await refusal(auth.identify(sent))).status).toBe(401);
    const machine = asking({ authorization: 'Bearer own.ci.app.pull' });
    expect((await auth.identify(machine)).subject.kind).toBe('token');
    standing.ci = false;
    expect((await refusal(auth.identify(machine))).status).toBe(401);
  });

  test('a certificate says who; what else is sent goes before it', async () => {
    const { auth } = house();
    expect((await auth.identify(asking({ certificate: 'host-1' }))).subject).toEqual({ kind: 'user', name: 'host-1' });
    expect((await auth.identify(asking({ certificate: 'host-1', authorization: basic('ann', 'right') }))).subject).toEqual({
      kind: 'user',
      name: 'ann',
    });
    expect((await refusal(auth.identify(asking({ certificate: 'host-1', authorization: basic('ann', 'no') })))).status).toBe(
      401,
    );
  });

  test('with no way at all everything is refused', async () => {
    const { auth } = house({ ways: NO_WAYS });
    for (const authorization of [basic('ann', 'right'), 'Bearer own.ann.app.pull', 'Bearer entrepot_ci'])
      expect((await refusal(auth.identify(asking({ authorization })))).status).toBe(401);
  });
});

const identityOf = (subject: Identity['subject'], name?: string, action = 'pull'): Identity => ({
  subject,
  scopes: name === undefined ? undefined : [{ type: 'repository', name, actions: [action] }],
});

describe('may you', () => {
  const ann = { kind: 'user', name: 'ann' } as const;
  const permit = (auth: Auth, identity: Identity, over: Partial<Asking> = {}, action: 'pull' | 'push' | 'delete' = 'pull') =>
    refusal(() => auth.permit(asking(over), identity, action, APP));

  test('signed in, and no rule lets them: 404 in the words of a name that no route leads to', async () => {
    const { auth, events } = house({ pullBy: 'anyone' });
    const error = await permit(auth, identityOf(ann), {}, 'push');
    expect([error.status, error.toBody()]).toEqual([404, noSuchName(APP.holder).toBody()]);
    const asked = { requestId: 'r1', client: '192.0.2.1', holder: APP.holder, reference: undefined };
    expect(events).toEqual([{ kind: 'denied', action: 'push', reason: 'access', subject: 'user:ann', ...asked }]);
  });

  test('with a token of nobody: 401, and what to ask for', async () => {
    const { auth } = house({ pullBy: 'signed-in' });
    const error = await permit(auth, identityOf(ANYONE, 'app'));
    expect(field(error)).toBe(
      'Bearer realm="https://mirror.test:5000/token",service="mirror.test:5000",scope="repository:app:pull"',
    );
    expect(field(await permit(auth, identityOf(ANYONE, 'app'), {}, 'push'))).toContain('scope="repository:app:pull,push"');
  });

  test('on an open Host it is 404: there nobody is ever asked', async () => {
    const { auth } = house({ pullBy: 'signed-in', openHosts: ['mirror.test'] });
    const error = await permit(auth, NOBODY);
    expect([error.status, field(error)]).toEqual([404, undefined]);
  });

  test('a token is for what it was issued for, whatever its subject may', async () => {
    const { auth } = house();
    expect(() => auth.permit(asking(), identityOf(ann, 'app'), 'pull', APP)).not.toThrow();
    for (const [name, action] of [
      ['other', 'pull'],
      ['app', 'push'],
    ] as const) {
      const error = await permit(auth, identityOf(ann, name, action));
      expect([error.status, field(error)?.split(',').at(-1)]).toEqual([401, 'error="insufficient_scope"']);
    }
    expect(() => auth.permit(asking(), identityOf(ann, 'app', '*'), 'delete', APP)).not.toThrow();
  });

  test('a token cannot widen what its subject may', async () => {
    const { auth } = house({ pullBy: 'anyone' });
    expect((await permit(auth, identityOf(ann, 'app', 'push'), {}, 'push')).status).toBe(404);
  });

  test('a token lists all repositories only where it was issued for that', async () => {
    const { auth } = house();
    expect(() => auth.permitList(asking(), identityOf(ann))).not.toThrow();
    const listing: Identity = { subject: ann, scopes: [{ type: 'registry', name: 'catalog', actions: ['*'] }] };
    expect(() => auth.permitList(asking(), listing)).not.toThrow();
    expect(field(await refusal(() => auth.permitList(asking(), identityOf(ann, 'app'))))).toContain(
      'scope="registry:catalog:*"',
    );
  });

  test('yes or no for what stands beside a name, with the token; for lists by the rules alone', () => {
    const { auth } = house();
    expect(auth.may(identityOf(ann, 'app'), 'pull', APP)).toBe(true);
    expect(auth.may(identityOf(ann, 'other'), 'pull', APP)).toBe(false);
    expect([auth.sees(identityOf(ann, 'other'), APP.holder), auth.sees(NOBODY, APP.holder)]).toEqual([true, false]);
  });
});
