import { describe, expect, test } from 'vitest';
import { chooseChallenge, formatChallenge, parseChallenges, type OwnChallenge } from '../../../src/oci/challenge.ts';

type Expected = [scheme: string, parameters: Record<string, string>][];

describe('challenges', () => {
  test.each<[string, string | string[], Expected]>([
    [
      'Docker Hub',
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push"',
      [
        [
          'bearer',
          {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:library/alpine:pull,push',
          },
        ],
      ],
    ],
    ['no service', 'Bearer realm="https://nvcr.io/proxy_auth"', [['bearer', { realm: 'https://nvcr.io/proxy_auth' }]]],
    ['an error', 'Bearer realm="r",error="invalid_token"', [['bearer', { realm: 'r', error: 'invalid_token' }]]],
    ['names in any case', 'BEARER Realm="r", SERVICE="s"', [['bearer', { realm: 'r', service: 's' }]]],
    [
      'unquoted values',
      'Bearer realm=https://x.test/token?a=b,service=s',
      [['bearer', { realm: 'https://x.test/token?a=b', service: 's' }]],
    ],
    ['space around the sign', 'Bearer realm = "r" ,\tservice= s', [['bearer', { realm: 'r', service: 's' }]]],
    ['escapes', String.raw`Basic realm="a\"b\\c, Bearer realm=d"`, [['basic', { realm: String.raw`a"b\c, Bearer realm=d` }]]],
    [
      'several in a line',
      'Basic realm="a", Bearer realm="b",scope="c d", Digest',
      [
        ['basic', { realm: 'a' }],
        ['bearer', { realm: 'b', scope: 'c d' }],
        ['digest', {}],
      ],
    ],
    [
      'several lines',
      ['Basic realm="a"', 'Bearer realm="b"'],
      [
        ['basic', { realm: 'a' }],
        ['bearer', { realm: 'b' }],
      ],
    ],
    [
      'token68',
      'Negotiate dG9rZW4+/w==, Basic realm="a"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'a' }],
      ],
    ],
    ['an empty value', 'Bearer realm="",scope=""', [['bearer', { realm: '', scope: '' }]]],
    ['a missing comma', 'Bearer realm="a" service="b"', [['bearer', { realm: 'a', service: 'b' }]]],
    ['a name given twice', 'Bearer realm="a",realm="b"', [['bearer', { realm: 'a' }]]],
    ['empty elements', ',, Basic ,realm="a",,', [['basic', { realm: 'a' }]]],
    ['a quote never closed', 'Basic realm="a, b', [['basic', { realm: 'a, b' }]]],
    ['garbage before', '"Bearer realm=evil", =x, realm="lost", Basic realm="a"', [['basic', { realm: 'a' }]]],
    ['nothing', '', []],
    ['no lines', [], []],
  ])('[P116] %s', (_, header, expected) => {
    const found = parseChallenges(header).map(({ scheme, parameters }) => [scheme, { ...parameters }]);
    expect(found).toEqual(expected);
  });

  test('[S26] a parameter called __proto__ is one, and inherited names are absent', () => {
    const [challenge] = parseChallenges('Bearer __proto__=x, realm="r"');
    expect(Object.entries(challenge?.parameters ?? {})).toEqual([
      ['__proto__', 'x'],
      ['realm', 'r'],
    ]);
    expect(challenge?.parameters['constructor']).toBeUndefined();
  });

  test('[P116] Bearer goes before Basic, if it says where tokens come from', () => {
    expect(chooseChallenge(parseChallenges('Basic realm="a", Bearer realm="b"'))?.scheme).toBe('bearer');
    expect(chooseChallenge(parseChallenges('Bearer service="b", Basic realm="a"'))?.scheme).toBe('basic');
    expect(chooseChallenge(parseChallenges('Digest realm="a"'))).toBeUndefined();
    expect(chooseChallenge([])).toBeUndefined();
  });

  test('[S27] no more than 32 challenges are looked at, nor lines of more than 16 KiB', () => {
    expect(parseChallenges('Basic,'.repeat(100))).toHaveLength(32);
    expect(parseChallenges(`Basic realm="${'a'.repeat(17_000)}"`)).toEqual([]);
  });
});

describe('our challenge', () => {
  const bearer: OwnChallenge = { scheme: 'Bearer', realm: 'https://mirror.example.test/token', service: 'mirror.example.test' };

  test.each<[OwnChallenge, string]>([
    [bearer, 'Bearer realm="https://mirror.example.test/token",service="mirror.example.test"'],
    [
      { ...bearer, scope: 'repository:a:pull,push repository:b:pull', error: 'insufficient_scope' },
      'Bearer realm="https://mirror.example.test/token",service="mirror.example.test",scope="repository:a:pull,push repository:b:pull",error="insufficient_scope"',
    ],
    [{ scheme: 'Basic', realm: 'acme' }, 'Basic realm="acme"'],
  ])('[P115] is spelt as the strictest parsers want it: %j', (challenge, field) => {
    expect(formatChallenge(challenge)).toBe(field);
  });

  test('keeps what would end a value, or a line, out of it', () => {
    const evil = 'a"b\\c\r\nX: y\0é\ud800=d';
    expect(formatChallenge({ scheme: 'Basic', realm: evil })).toBe('Basic realm="a b c  X: y    d"');
    expect(formatChallenge({ ...bearer, realm: `https://x.test/${evil}?e=f`, service: evil, scope: evil })).toBe(
      'Bearer realm="https://x.test/a%22b%5Cc%0D%0AX:%20y%00%C3%A9%EF%BF%BD=d?e=f",service="a b c  X: y   =d",scope="a b c  X: y   =d"',
    );
  });
});
