import { describe, expect, test } from 'vitest';
import { parseHtpasswd } from '../../../src/auth/htpasswd-file.ts';
import { createSeededRandom } from '../../fakes/seeded-random.ts';

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.';
const hash = (cost = '12', kind = '2y'): string => `$${kind}$${cost}$${letters}`;

describe('an htpasswd file', () => {
  test('has a user on each line, of whatever ending; blank lines and comments say nothing', () => {
    const text = `\uFEFF# people\r\nann:${hash()}\r\n\r\n   \n  # bob:${hash()}\n  carol:${hash('10', '2b')}  \ndave:${hash('14', '2a')}`;
    const { users, faults, warnings } = parseHtpasswd(text);
    expect([...users]).toEqual([
      ['ann', hash()],
      ['carol', hash('10', '2b')],
      ['dave', hash('14', '2a')],
    ]);
    expect([faults, warnings]).toEqual([[], []]);
    expect(parseHtpasswd('').users.size).toBe(0);
  });

  test('that names a user twice means the later line, and says so', () => {
    const { users, warnings, faults } = parseHtpasswd(`ann:${hash('10')}\nbob:${hash()}\nann:${hash('11')}\n`);
    expect(users.get('ann')).toBe(hash('11'));
    expect(warnings).toEqual([{ line: 3, message: 'ann stands there twice: this line, the later one, holds' }]);
    expect(faults).toEqual([]);
  });

  test('warns of costs below 10, and refuses those above 14', () => {
    const of = (cost: string) => parseHtpasswd(`ann:${hash(cost)}`);
    expect(of('10')).toMatchObject({ faults: [], warnings: [] });
    expect(of('05')).toMatchObject({ faults: [], warnings: [{ line: 1, message: expect.stringContaining('cost 5') }] });
    expect(of('09').warnings).toHaveLength(1);
    expect(of('14')).toMatchObject({ faults: [], warnings: [] });
    expect(of('15').faults).toEqual([{ line: 1, message: expect.stringContaining('`entrepot htpasswd ann`') as string }]);
    for (const cost of ['00', '03', '32', '99']) expect(of(cost).faults, cost).toHaveLength(1);
  });

  test.each([
    ['$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/', 'an MD5 hash'],
    ['{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', 'a SHA-1 hash'],
    ['$5$salt$hash', 'a SHA-2 crypt hash'],
    ['$6$salt$hash', 'a SHA-2 crypt hash'],
    ['$argon2id$v=19$m=65536,t=3,p=4$x$y', 'an argon2 hash'],
    [hash('12', '2x'), 'a broken bcrypt hash, or one of another kind'],
    [hash('12', '2'), 'a broken bcrypt hash, or one of another kind'],
    [hash().slice(0, -1), 'a broken bcrypt hash'],
    [`${hash()}x`, 'a broken bcrypt hash'],
    [`${hash()}:0:0`, 'a broken bcrypt hash'],
    ['letmein', 'a crypt hash or a password as it is'],
    ['', 'no hash'],
  ])('is refused for %s, with the line, the kind and what to do, and nothing of the hash', (stored, kind) => {
    const { faults, users } = parseHtpasswd(`bob:${hash()}\n\nann:${stored}\n`);
    expect(users.has('ann')).toBe(false);
    expect(faults).toHaveLength(1);
    expect(faults[0]?.line).toBe(3);
    expect(faults[0]?.message).toMatch(/^ann has .*: only bcrypt is read; make it anew, with `entrepot htpasswd ann`/);
    expect(faults[0]?.message).toContain(kind);
    expect(faults[0]?.message).not.toContain(stored || letters);
  });

  test('written the wrong way round shows nothing of the hash either, and no command that runs something else', () => {
    const { faults } = parseHtpasswd(`${hash()}:ann\n$(reboot):x\n`);
    expect(faults.map(({ message }) => message.slice(0, 8))).toEqual(['USER has', 'USER has']);
    expect(JSON.stringify(faults)).not.toMatch(/reboot|abcdef/);
  });

  test.each([
    ['ann', 'no user:hash'],
    [`:${hash()}`, 'no user before the colon'],
    [`a\u0007nn:${hash()}`, 'control character'],
    [`a\rnn:${hash()}`, 'control character'],
  ])('is refused for the line %j', (line, said) => {
    expect(parseHtpasswd(line).faults).toEqual([{ line: 1, message: expect.stringContaining(said) as string }]);
  });

  test('has a bounded number of lines', () => {
    expect(parseHtpasswd('\n'.repeat(20_000)).faults).toEqual([{ line: 20_001, message: 'there are more than 20000 lines' }]);
    expect(parseHtpasswd('\n'.repeat(19_999)).faults).toEqual([]);
  });
});

test('no text stops it, and what it takes for a user has a bcrypt hash of a cost that we bear', () => {
  const random = createSeededRandom(7);
  const parts = [
    'ann',
    ':',
    '\n',
    '\r\n',
    '#',
    ' ',
    hash(),
    hash('15'),
    '$2y$',
    '\0',
    '\uFEFF',
    '$apr1$',
    'é',
    '\u2028',
    '::',
    '\ud800',
  ];
  for (let round = 0; round < 20_000; round += 1) {
    const length = Math.floor(random.fraction() * 24);
    const text = Array.from({ length }, () => parts[Math.floor(random.fraction() * parts.length)]).join('');
    const { users, faults, warnings } = parseHtpasswd(text);
    const lines = text.split('\n').length;
    for (const [user, stored] of users) {
      expect(user).toMatch(/^[^:\n]+$/);
      expect(stored).toMatch(/^\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$/);
    }
    for (const { line, message } of [...faults, ...warnings]) {
      expect(line >= 1 && line <= lines).toBe(true);
      expect(message).not.toContain(letters);
    }
  }
});
