import { describe, expect, test } from 'vitest';
import { isGuarded, isOpen } from '../../../src/config/settle-use.ts';
import { covers, overlaps } from '../../../src/config/pattern.ts';
import { parseSubjectPattern } from '../../../src/config/subject-pattern.ts';
import { load, refusal, ROUTES } from './load.ts';

const FILES = { '/htpasswd': '', '/jwks': '{"keys":[]}' };
const HTPASSWD = 'auth: { htpasswd: { path: /htpasswd } }';
const loaded = (yaml: string) => load(`${yaml}\n${ROUTES}`, { files: FILES });
const refused = (yaml: string) => refusal(`${yaml}\n${ROUTES}`, { files: FILES });

describe('auth', () => {
  test('is nothing where nothing is written', async () => {
    expect(await loaded('')).toMatchObject({ auth: undefined, access: { rules: undefined }, names: { open: [] } });
  });

  test('reads users from a file, which is read again without a reload', async () => {
    const config = await loaded('auth: { htpasswd: { realm: acme, path: /htpasswd }, issue: { lifetime: 5m } }');
    expect(config.auth).toMatchObject({ htpasswd: { realm: 'acme', path: '/htpasswd' }, lifetime: 300_000 });
    expect([...config.watched.keys()]).not.toContain('/htpasswd');
  });

  test.each([
    ['auth: { htpasswd: { path: /gone } }', 'config.yml:1:27: auth.htpasswd.path: expected a file, but there is no /gone'],
    ['auth: { htpasswd: { realm: a"b, path: /htpasswd } }', 'auth.htpasswd.realm: expected a realm without quotes'],
    ['auth: { htpasswd: { realm: acme } }', 'auth.htpasswd.path: is missing'],
    ['auth: { issue: { lifetime: 30s } }', 'auth.issue.lifetime: expected a duration from 1m to 1h'],
    ['auth: { issue: { lifetime: 2h } }', 'auth.issue.lifetime: expected a duration from 1m to 1h'],
    ['auth: { ldap: {} }', 'auth.ldap'],
    [
      'auth: { oidc: { gh: { issuer: "https://x.test", audience: a } } }',
      'auth.oidc: expected rules under access that name claims',
    ],
  ])('%s is an error that says what is', async (yaml, expected) => {
    expect(await refused(yaml)).toContain(expected);
  });
});

describe('access', () => {
  test('well-known is spelt out, as in routes: a rule that closes it does', async () => {
    const config = await loaded(
      `${HTPASSWD}\naccess: [{ match: well-known, pull: [signed-in] }, { match: "**", pull: anyone }]`,
    );
    const [rule] = config.access.rules ?? [];
    expect(rule?.match).toEqual(expect.arrayContaining(['docker.io/**', 'ghcr.io/**']));
    expect(rule?.match).not.toContain('well-known');
  });

  test.each([
    ['names: { aliases: { hub.test: docker.io } }\n', 'hub.test/acme/**', 'did you mean "docker.io/acme/**"?'],
    ['', 'docker.io/ubuntu', 'did you mean "docker.io/library/ubuntu"?'],
    ['', 'docker.io/*', 'did you mean "docker.io/library/*"?'],
  ])('%sa rule for %s is an error: nothing is called so, and what it closes would be open', async (names, match, expected) => {
    const yaml = `${HTPASSWD}\n${names}access: [{ match: "${match}", pull: [user:ann] }, { match: "**", pull: anyone }]`;
    expect(await refused(yaml)).toContain('access[0].match');
    expect(await refused(yaml)).toContain(expected);
  });

  test('in a plain registry a rule for another registry than local is an error', async () => {
    const yaml = `${HTPASSWD}\naccess: [{ match: "registry.acme.test/secret/**", pull: [user:ann] }, { match: "**", pull: anyone }]`;
    expect(await refusal(yaml, { files: FILES })).toContain('did you mean "local/secret/**"?');
  });

  test('is read in order, each rule with its line', async () => {
    const config = await loaded(
      `${HTPASSWD}\naccess:\n  - { match: "acme.test/**", pull: [group:dev], push: user:ann }\n  - { match: "**", pull: anyone }\ngroups: { dev: [user:ann, "token:ci-*"] }`,
    );
    expect(config.access.rules).toEqual([
      {
        match: ['acme.test/**'],
        allow: { pull: [{ kind: 'group', name: 'dev' }], push: [{ kind: 'user', name: 'ann' }], delete: [] },
        at: expect.stringMatching(/config\.yml:3$/),
      },
      {
        match: ['**'],
        allow: { pull: [{ kind: 'anyone' }], push: [], delete: [] },
        at: expect.stringMatching(/config\.yml:4$/),
      },
    ]);
    expect(config.access.groups.get('dev')).toEqual([
      { kind: 'user', name: 'ann' },
      { kind: 'token', name: 'ci-*' },
    ]);
    expect(config.warnings).toEqual([]);
  });

  test.each([
    ['access: [{ match: "**", pull: [user:ann] }]', 'access[0].pull[0]: expected auth.htpasswd'],
    ['access: [{ match: "**", pull: [token:ci] }]', 'access[0].pull[0]: expected auth'],
    ['access: [{ match: "**", pull: [signed-in] }]', 'access[0].pull[0]: expected anyone, or auth'],
    ['auth: { issue: {} }\naccess: [{ match: "**", pull: [user:ann] }]', 'access[0].pull[0]: expected auth.htpasswd'],
    [`${HTPASSWD}\naccess: [{ match: "**", pull: [group:dev] }]`, 'expected a group that stands under groups'],
    [
      `${HTPASSWD}\naccess: [{ match: "**", pull: [group:dve] }]\ngroups: { dev: [user:ann] }`,
      'expected a group that stands under groups; did you mean "group:dev"?',
    ],
    [`${HTPASSWD}\ngroups: { dev: ["group:ops"], ops: [user:ann] }`, 'groups.dev[0]: expected its members one by one'],
    [`${HTPASSWD}\naccess: [{ match: "**", pull: ["oidc:github:a=b"] }]`, 'expected an issuer that stands under auth.oidc'],
    [`${HTPASSWD}\naccess: [{ match: "**", pull: [ann] }]`, 'did you mean "user:ann"?'],
    [`${HTPASSWD}\naccess: [{ match: "**", pull: [everyone] }]`, 'did you mean "anyone"?'],
    [`${HTPASSWD}\naccess: [{ match: "docker.io", pull: [anyone] }]`, 'did you mean "docker.io/**"?'],
    [`${HTPASSWD}\naccess: [{ match: [], pull: [anyone] }]`, 'access[0].match: expected at least one pattern'],
    [`${HTPASSWD}\naccess: [{ match: "**", pulls: [anyone] }]`, 'did you mean "pull"?'],
  ])('%s is an error', async (yaml, expected) => {
    expect(await refused(yaml)).toContain(expected);
  });

  test('tokens of another server without rules are warned of, where there is more than one registry', async () => {
    const token = 'auth: { token: { realm: "https://auth.test/token", service: s, issuer: i, jwks: /jwks } }';
    const [warning, ...others] = (await loaded(token)).warnings;
    expect([warning?.startsWith('auth.token: tokens say nothing of the registry'), others]).toEqual([true, []]);
    expect((await load(token, { files: FILES })).warnings).toEqual([]);
    expect((await loaded(`${token}\naccess: [{ match: "**", pull: [signed-in] }]`)).warnings).toEqual([]);
  });

  test('groups without rules are warned of', async () => {
    const { warnings } = await loaded(`${HTPASSWD}\ngroups: { dev: [user:ann] }`);
    expect(warnings).toEqual(['groups has no effect here: no rule of access could name one']);
  });
});

test.each<[string, ReturnType<typeof parseSubjectPattern>]>([
  ['anyone', { kind: 'anyone' }],
  ['signed-in', { kind: 'signed-in' }],
  ['user:ann@acme.test', { kind: 'user', name: 'ann@acme.test' }],
  ['token:ci-*', { kind: 'token', name: 'ci-*' }],
  ['oidc:github:sub=repo:a/b:ref=x', { kind: 'oidc', issuer: 'github', claim: 'sub', value: 'repo:a/b:ref=x' }],
  ['group:d*', undefined],
  ['user:', undefined],
  ['user:a b', undefined],
  ['oidc:github:sub', undefined],
  ['oidc:github:=x', undefined],
  ['robot:x', undefined],
  ['Anyone', undefined],
])('the subject %s', (text, expected) => {
  expect(parseSubjectPattern(text)).toEqual(expected);
});

describe('what the account of an upstream is for', () => {
  const upstream = (more: string) =>
    `${HTPASSWD}\nupstreams: { hub: { url: "https://registry-1.docker.io", username: a, password: b${more} } }\n`;
  const ROUTE = 'routes: [{ match: docker.io/**, upstreams: [hub] }]';
  const useOf = async (yaml: string): Promise<string | undefined> =>
    (await load(`${yaml}\n${ROUTE}`, { files: FILES })).upstreams.get('hub')?.use;

  test('quota without rules; all where a rule lets nobody pull unnamed; quota where one lets anyone', async () => {
    expect(await useOf(upstream(''))).toBe('quota');
    expect(await useOf(`${upstream('')}access: [{ match: docker.io/**, pull: [signed-in] }]`)).toBe('all');
    expect(await useOf(`${upstream('')}access: [{ match: "**", pull: [anyone] }]`)).toBe('quota');
    expect(
      await useOf(`${upstream('')}access: [{ match: docker.io/acme/**, pull: [user:ann] }, { match: "**", pull: anyone }]`),
    ).toBe('quota');
  });

  test('quota where a rule lets anyone by the name of a group, and where it lets anyone what is well known', async () => {
    const groups = 'groups: { all: [user:ann, anyone] }';
    expect(await useOf(`${upstream('')}${groups}\naccess: [{ match: docker.io/**, pull: [group:all] }]`)).toBe('quota');
    expect(await useOf(`${upstream('')}access: [{ match: well-known, pull: [anyone] }]`)).toBe('quota');
  });

  test('as it is written, with a warning where anyone may pull what it unlocks', async () => {
    expect(await useOf(`${upstream(', use: quota')}access: [{ match: "**", pull: [signed-in] }]`)).toBe('quota');
    const config = await load(`${upstream(', use: all')}access: [{ match: "**", pull: [anyone] }]\n${ROUTE}`, { files: FILES });
    expect(config.upstreams.get('hub')?.use).toBe('all');
    expect(config.warnings).toEqual([expect.stringContaining('anyone may pull what this account unlocks')]);
  });

  test('all without rules is an error', async () => {
    expect(await refusal(`${upstream(', use: all')}${ROUTE}`, { files: FILES })).toContain(
      'upstreams.hub.use: expected quota, or rules under access',
    );
  });

  test('the credentials of origin likewise', async () => {
    const origin = `${HTPASSWD}\ncredentials: { docker.io: { username: a, password: b } }`;
    expect((await loaded(origin)).originUse).toBe('quota');
    expect((await loaded(`${origin}\naccess: [{ match: "**", pull: [signed-in] }]`)).originUse).toBe('all');
  });
});

describe('an upstream that is asked by the repository alone', () => {
  const warned = async (options: string, match: string, more = ''): Promise<readonly string[]> =>
    (
      await load(
        `${HTPASSWD}\nupstreams: { corp: { url: "https://corp.test"${options} } }\naccess: [{ match: corp.test/secret/**, pull: [user:ann] }, { match: "**", pull: anyone }]\nroutes: [${more}{ match: ${match}, upstreams: [corp] }]`,
        { files: FILES },
      )
    ).warnings;

  test.each(['"**"', '"*.test/**"', '[corp.test/**, other.test/**]'])(
    'where %s leads to it a rule for one registry is warned of: under another name it does not hold',
    async (match) => {
      const [warning, ...others] = await warned('', match);
      expect(warning).toMatch(/^upstreams\.corp: several registries lead to it.* access says of corp\.test\/secret\/\*\*/);
      expect(others).toEqual([]);
    },
  );

  test('is not warned of where one registry leads to it, where it is told which, and where what is closed goes elsewhere', async () => {
    expect(await warned('', 'corp.test/**')).toEqual([]);
    expect(await warned(', ns: true', '"**"')).toEqual([]);
    expect(await warned(', path: "{registry}"', '"**"')).toEqual([]);
    expect(await warned('', '"**"', '{ match: corp.test/**, upstreams: [hosted] }, ')).toEqual([]);
  });
});

test.each<[one: string, other: string, overlap: boolean]>([
  ['docker.io/**', 'docker.io/library/*', true],
  ['docker.io/library/*', 'docker.io/acme/*', false],
  ['*.io/a', 'ghcr.io/a', true],
  ['*.io/a', 'ghcr.test/a', false],
  ['a/b', 'a/b/c', false],
  ['a/b/**', 'a/b', true],
  ['a/x*', 'a/*y', true],
  ['a/x*', 'a/y*', false],
  ['**/x', 'a/y', true],
])('%s and %s overlap: %s', (one, other, overlap) => {
  expect([overlaps(one, other), overlaps(other, one)]).toEqual([overlap, overlap]);
  expect(covers(one, other) && !overlap).toBe(false);
});

test('a route is open where whoever asks may pull all of it, guarded where nobody unnamed may pull any, and often neither', () => {
  const rule = (match: string, pull: string) => ({
    match: [match],
    allow: { pull: [parseSubjectPattern(pull)!], push: [], delete: [] },
    at: '',
  });
  const state = (...rules: ReturnType<typeof rule>[]) => {
    const access = { rules, groups: new Map() };
    const route = { match: ['docker.io/**'] };
    return [isOpen(route, access, true), isGuarded(route, access)];
  };
  expect(state(rule('**', 'anyone'))).toEqual([true, false]);
  expect(state(rule('**', 'signed-in'))).toEqual([false, true]);
  expect(state()).toEqual([false, true]);
  expect(state(rule('docker.io/a/**', 'anyone'))).toEqual([false, false]);
  expect(state(rule('docker.io/a/**', 'user:ann'), rule('**', 'anyone'))).toEqual([false, false]);
  expect(state(rule('ghcr.io/**', 'user:ann'), rule('**', 'anyone'))).toEqual([true, false]);
});
