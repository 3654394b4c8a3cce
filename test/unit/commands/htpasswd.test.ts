import { describe, expect, test } from 'vitest';
import { verifyBcrypt } from '../../../src/auth/bcrypt.ts';
import { parseHtpasswd } from '../../../src/auth/htpasswd-file.ts';
import { scene } from './scene.ts';

describe('htpasswd', () => {
  test('prints a line that the file takes, of what stands on stdin', async () => {
    const { exit, out, err } = await (await scene({ piped: 'correct horse\r\n' })).command('htpasswd', 'ann');
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    const { users, faults, warnings } = parseHtpasswd(out);
    expect({ faults, warnings }).toEqual({ faults: [], warnings: [] });
    expect(out).toMatch(/^ann:\$2y\$12\$[^\n]+\n$/);
    expect(await verifyBcrypt('correct horse', users.get('ann')!)).toBe(true);
  });

  test('asks twice where a person types', async () => {
    const { exit, out, err } = await (await scene({ typed: ['geheim', 'geheim'] })).command('htpasswd', 'ann', '--json');
    expect({ exit, err }).toEqual({ exit: 0, err: 'password: again: ' });
    const { user, hash } = JSON.parse(out) as { user: string; hash: string };
    expect(user).toBe('ann');
    expect(await verifyBcrypt('geheim', hash)).toBe(true);
  });

  test.each([
    [{ typed: ['geheim', 'gehiem'] }, 'the two are not the same'],
    [{ typed: ['', ''] }, 'there is no password'],
    [{ piped: '\n' }, 'there is no password'],
    [{ piped: 'one\ntwo\n' }, 'more than one line'],
    [{ piped: 'x'.repeat(73) }, 'at most 72 bytes'],
    [{ piped: 'é'.repeat(37) }, 'at most 72 bytes'],
    [{ piped: 'a\0a' }, 'without NUL'],
  ])('refuses %j, and prints nothing of it', async (parts, said) => {
    const { exit, out, err } = await (await scene(parts)).command('htpasswd', 'ann');
    expect({ exit, out }).toEqual({ exit: 1, out: '' });
    expect(err).toContain(said);
    expect(err).not.toMatch(/geheim|one\b.*two|xxx|éé/);
  });

  test.each(['', 'a:b', '#ann', ' ann', 'ann ', 'a\nb', 'a\u001b[2J', '\uFEFFann', 'x'.repeat(256)])(
    '%j can be no user',
    async (user) => {
      const { exit, out, err } = await (await scene({ piped: 'geheim' })).command('htpasswd', user);
      expect({ exit, out }).toEqual({ exit: 2, out: '' });
      expect(err).toContain('a user has no colon');
    },
  );
});
