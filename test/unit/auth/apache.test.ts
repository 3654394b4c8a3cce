import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { verifyBcrypt } from '../../../src/auth/bcrypt.ts';
import { parseHtpasswd } from '../../../src/auth/htpasswd-file.ts';

/** Why what Apache's own program writes is not read here, or `undefined` where it is. */
const missing =
  spawnSync('htpasswd', ['-nbB', 'a', 'b']).status === 0
    ? undefined
    : 'htpasswd is not installed (Debian package apache2-utils)';

const htpasswd = (...args: readonly string[]): string => execFileSync('htpasswd', args, { encoding: 'utf8', stdio: 'pipe' });

describe.skipIf(missing !== undefined && process.env['ENTREPOT_REQUIRE_ALL'] !== '1')(
  `what Apache's htpasswd writes${missing === undefined ? '' : `: skipped, ${missing}`}`,
  () => {
    test('with -B is read, with a warning where no cost was named', async () => {
      const { users, faults, warnings } = parseHtpasswd(
        htpasswd('-nbB', 'ann', 'correct horse') + htpasswd('-nbB', '-C', '10', 'ben', 'é'),
      );
      expect(faults).toEqual([]);
      expect(warnings).toEqual([{ line: 1, message: expect.stringMatching(/^ann has cost 5, /) as string }]);
      expect(await verifyBcrypt('correct horse', users.get('ann')!)).toBe(true);
      expect(await verifyBcrypt('correct hors', users.get('ann')!)).toBe(false);
      expect(await verifyBcrypt('é', users.get('ben')!)).toBe(true);
    });

    test.each([
      ['-m', 'an MD5 hash'],
      ['-s', 'a SHA-1 hash'],
      ['-2', 'a SHA-2 crypt hash'],
      ['-5', 'a SHA-2 crypt hash'],
      ['-d', 'a crypt hash or a password as it is'],
      ['-p', 'a crypt hash or a password as it is'],
    ])('with %s is refused by its name', (kind, said) => {
      const { users, faults } = parseHtpasswd(htpasswd('-nb', kind, 'ann', 'secret'));
      expect(users.size).toBe(0);
      expect(faults).toEqual([{ line: 1, message: expect.stringContaining(`ann has ${said}: only bcrypt is read`) as string }]);
    });
  },
);
