import { describe, expect, test } from 'vitest';
import { createAccess, type AccessOptions, type Action, type SubjectPattern } from '../../../src/auth/access.ts';
import { ANYONE, type Subject } from '../../../src/auth/subject.ts';
import { parseSubjectPattern } from '../../../src/config/subject-pattern.ts';
import { compilePatterns } from '../../../src/pull/route.ts';

const ann: Subject = { kind: 'user', name: 'ann' };
const ben: Subject = { kind: 'user', name: 'ben' };
const ci: Subject = { kind: 'token', name: 'ci-build', id: '1' };
const action: Subject = {
  kind: 'oidc',
  issuer: 'github',
  id: 'repo:acme/app:ref:refs/heads/main',
  claims: { repository_owner: ['acme'], repository: ['acme/app'], groups: ['a', 'b'] },
};

const some = (...texts: string[]): SubjectPattern[] => texts.map((text) => parseSubjectPattern(text)!);

function rule(match: string | string[], allow: Partial<Record<Action, string[]>>, at = 'config.yml:1') {
  const { pull = [], push = [], delete: remove = [] } = allow;
  return { match: [match].flat(), allow: { pull: some(...pull), push: some(...push), delete: some(...remove) }, at };
}

function accessOf(options: Partial<AccessOptions>) {
  return createAccess({ rules: undefined, groups: new Map(), signsIn: true, ...options });
}

test('`**` behind a `*` is no segment too: a rule for team-*/** closes team-1, as a route leads it', () => {
  const rules = [rule('acme.test/team-*/**', { pull: ['user:ann'] }), rule('**', { pull: ['anyone'] })];
  const access = accessOf({ rules });
  const leads = compilePatterns(['acme.test/team-*/**']);
  for (const [holder, isClosed] of [
    ['acme.test/team-1', true],
    ['acme.test/team-1/app', true],
    ['acme.test/team-1/app/x', true],
    ['acme.test/team', false],
    ['acme.test/other', false],
  ] as const)
    expect([holder, access.isOpen(holder), leads(holder)]).toEqual([holder, !isClosed, isClosed]);
});

describe('without rules', () => {
  test('everybody may everything where nobody can sign in', () => {
    const access = accessOf({ signsIn: false });
    expect(access.decide(ANYONE, 'delete', 'docker.io/a/b')).toEqual({ allowed: true, rule: undefined });
    expect(access.isOpen('docker.io/a/b')).toBe(true);
  });

  test('everybody who is signed in may everything where somebody can', () => {
    const access = accessOf({});
    expect(access.decide(action, 'pull', 'docker.io/a/b').allowed).toBe(false);
    for (const subject of [ann, ci]) expect(access.decide(subject, 'push', 'docker.io/a/b').allowed).toBe(true);
    expect(access.decide(ANYONE, 'pull', 'docker.io/a/b').allowed).toBe(false);
    expect(access.isOpen('docker.io/a/b')).toBe(false);
  });
});

describe('with rules', () => {
  test('the first that matches decides alone: a later one cannot add to it', () => {
    const rules = [rule('acme.test/secret/**', { pull: ['user:ben'] }, 'f:1'), rule('**', { pull: ['anyone'] }, 'f:2')];
    const access = accessOf({ rules });
    expect(access.decide(ann, 'pull', 'acme.test/secret/app')).toEqual({ allowed: false, rule: rules[0] });
    expect(access.decide(ben, 'pull', 'acme.test/secret/app')).toEqual({ allowed: true, rule: rules[0] });
    expect(access.decide(ANYONE, 'pull', 'acme.test/open/app')).toEqual({ allowed: true, rule: rules[1] });
  });

  test('what a rule does not list is denied, and so is what no rule matches', () => {
    const access = accessOf({ rules: [rule('acme.test/**', { pull: ['anyone'] })] });
    expect(access.decide(ann, 'push', 'acme.test/a').allowed).toBe(false);
    expect(access.decide(ann, 'delete', 'acme.test/a').allowed).toBe(false);
    expect(access.decide(ann, 'pull', 'docker.io/library/a')).toEqual({ allowed: false, rule: undefined });
  });

  test('push and delete are two things', () => {
    const access = accessOf({ rules: [rule('**', { push: ['user:ann'], delete: ['user:ben'] })] });
    expect([access.decide(ann, 'push', 'a/b').allowed, access.decide(ann, 'delete', 'a/b').allowed]).toEqual([true, false]);
    expect([access.decide(ben, 'push', 'a/b').allowed, access.decide(ben, 'delete', 'a/b').allowed]).toEqual([false, true]);
  });

  test.each<[pattern: string, who: Subject, may: boolean]>([
    ['anyone', ANYONE, true],
    ['anyone', ann, true],
    ['signed-in', ANYONE, false],
    ['signed-in', ann, true],
    ['signed-in', ci, true],
    ['signed-in', action, false],
    ['user:ann', ann, true],
    ['user:ann', { kind: 'user', name: 'Ann' }, false],
    ['user:ann', { kind: 'token', name: 'ann', id: '1' }, false],
    ['user:a*', ann, true],
    ['user:a*', ben, false],
    ['token:ci-*', ci, true],
    ['token:ci-*', { kind: 'user', name: 'ci-build' }, false],
    ['token:*-build', ci, true],
    ['token:c*-*d', ci, true],
    ['token:ci-build*build', ci, false],
    ['oidc:github:repository_owner=acme', action, true],
    ['oidc:github:repository_owner=acm', action, false],
    ['oidc:gitlab:repository_owner=acme', action, false],
    ['oidc:github:repository=acme/*', action, true],
    ['oidc:github:groups=b', action, true],
    ['oidc:github:toString=x', action, false],
    ['oidc:github:repository_owner=acme', ann, false],
  ])('%s and %j: %s', (pattern, who, may) => {
    expect(accessOf({ rules: [rule('**', { pull: [pattern] })] }).decide(who, 'pull', 'a/b').allowed).toBe(may);
  });

  test('a group stands for its members, and one that is not there for nobody', () => {
    const groups = new Map([['ci', some('token:ci-*', 'oidc:github:repository_owner=acme')]]);
    const access = accessOf({ rules: [rule('**', { pull: ['group:ci'], push: ['group:gone'] })], groups });
    expect([ann, ci, action, ANYONE].map((who) => access.decide(who, 'pull', 'a/b').allowed)).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect([ann, ci].map((who) => access.decide(who, 'push', 'a/b').allowed)).toEqual([false, false]);
    expect([ci, ann].map((who) => access.isOneOf(who, { kind: 'group', name: 'ci' }))).toEqual([true, false]);
  });

  test('a pattern takes names as routes do: dots are ordinary, one star is one segment', () => {
    const access = accessOf({ rules: [rule('docker.io/*', { pull: ['anyone'] })] });
    expect(access.isOpen('docker.io/a')).toBe(true);
    expect(access.isOpen('docker.io/a/b')).toBe(false);
    expect(access.isOpen('dockerXio/a')).toBe(false);
  });
});
