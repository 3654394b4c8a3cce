import { describe, expect, test } from 'vitest';
import { AdminError } from '../../../src/admin/admin-error.ts';
import { CONFIG, scene } from './scene.ts';

const CREATED = { name: 'ci-build', created: '2026-01-01T00:00:00.000Z', expired: false, token: 'entrepot_x' };

describe('token create', () => {
  test('prints the token alone on stdout, and the rest on stderr', async () => {
    const asked: unknown[] = [];
    const admin = {
      createToken: async (request: unknown) => {
        asked.push(request);
        return { ...CREATED, expires: '2026-04-01T00:00:00.000Z' };
      },
    };
    const at = await scene({ admin });
    const { exit, out, err } = await at.command('token', 'create', 'ci-build', '--expires', '90d');
    expect({ exit, out }).toEqual({ exit: 0, out: 'entrepot_x\n' });
    expect(err).toContain('the token ci-build expires 2026-04-01T00:00:00.000Z; it is not shown again');
    expect(err).not.toContain('entrepot_x');
    expect(asked).toEqual([{ name: 'ci-build', lifetimeMs: 90 * 86_400_000 }]);
    await at.command('token', 'create', 'ci-build');
    expect(asked[1]).toEqual({ name: 'ci-build', lifetimeMs: undefined });
  });

  test('says so where nobody will be asked for it', async () => {
    const at = await scene({ admin: { createToken: async () => CREATED } });
    expect((await at.command('token', 'create', 'ci-build')).err).toContain('note: the configuration has no auth');
    await at.write('/etc/htpasswd', '# nobody yet\n');
    await at.write('/work/config.yml', `${CONFIG}auth: { htpasswd: { realm: acme, path: /etc/htpasswd } }\n`);
    expect(await at.command('token', 'create', 'ci-build')).toEqual({
      exit: 0,
      out: 'entrepot_x\n',
      err: 'the token ci-build does not expire; it is not shown again: use it as a password, with any user name\n',
    });
  });

  test('--json prints one object', async () => {
    const at = await scene({ admin: { createToken: async () => CREATED } });
    expect(JSON.parse((await at.command('token', 'create', 'ci-build', '--json')).out)).toEqual(CREATED);
  });

  test.each([
    ['90', 'did you mean 90s?'],
    ['90 days', 'did you mean 90d?'],
    ['soon', 'no duration such as 90d'],
  ])('--expires %j is wrong usage', async (expires, said) => {
    const { exit, out, err } = await (await scene()).command('token', 'create', 'ci', '--expires', expires);
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toContain(said);
  });

  test('that is refused prints nothing but why', async () => {
    const createToken = () => Promise.reject(new AdminError('there is a token ci: revoke it first'));
    const { exit, out, err } = await (await scene({ admin: { createToken } })).command('token', 'create', 'ci');
    expect({ exit, out, err }).toEqual({ exit: 1, out: '', err: 'there is a token ci: revoke it first\n' });
  });
});

describe('token list', () => {
  const found = [
    { name: 'a', created: 'C1', expired: false },
    { name: 'b', created: 'C2', expires: 'E2', lastUse: 'U2', expired: true },
  ];

  test('is a table, and as JSON a list', async () => {
    const at = await scene({ admin: { tokens: async () => found } });
    const { exit, out, err } = await at.command('token', 'list');
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['NAME', 'CREATED', 'EXPIRES', 'LAST USE'],
      ['a', 'C1', 'never', 'never'],
      ['b', 'C2', 'E2 (expired)', 'U2'],
      [''],
    ]);
    expect(JSON.parse((await at.command('token', 'list', '--json')).out)).toEqual(found);
  });

  test('of none says how to make one, where nobody parses it', async () => {
    const at = await scene({ admin: { tokens: async () => [] } });
    expect(await at.command('token', 'list')).toEqual({
      exit: 0,
      out: '',
      err: 'there are no tokens: make one with "entrepot token create NAME"\n',
    });
    expect((await at.command('token', 'list', '--json')).out).toBe('[]\n');
  });
});

test('token revoke says what it took back', async () => {
  const at = await scene({ admin: { revokeToken: async (name) => ({ name, created: 'C', expired: false }) } });
  expect(await at.command('token', 'revoke', 'ci')).toEqual({ exit: 0, out: 'ci is revoked\n', err: '' });
});
