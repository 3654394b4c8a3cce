import { describe, expect, test } from 'vitest';
import { formatScope, parseScope, pullScope, readScopes, SCOPE_LENGTH_MAX, SCOPES_MAX } from '../../../src/oci/scope.ts';

test('[P116] what a pull needs', () => {
  expect(pullScope('library/alpine')).toBe('repository:library/alpine:pull');
});

describe('a scope', () => {
  test.each([
    ['repository:library/alpine:pull', { type: 'repository', name: 'library/alpine', actions: ['pull'] }],
    ['repository:a/b:pull,push', { type: 'repository', name: 'a/b', actions: ['pull', 'push'] }],
    ['repository(plugin):a/b:*', { type: 'repository', class: 'plugin', name: 'a/b', actions: ['*'] }],
    ['registry:catalog:*', { type: 'registry', name: 'catalog', actions: ['*'] }],
    ['repository:Host.test:5000/a/b:pull', { type: 'repository', name: 'Host.test:5000/a/b', actions: ['pull'] }],
    ['repository:localhost/a:delete', { type: 'repository', name: 'localhost/a', actions: ['delete'] }],
    ['repository:[::1]:5000/a:pull', { type: 'repository', name: '[::1]:5000/a', actions: ['pull'] }],
    ['repository:a:', { type: 'repository', name: 'a', actions: [] }],
  ])('%s', (text, scope) => {
    expect(parseScope(text)).toEqual(scope);
    expect(formatScope(scope)).toBe(text);
  });

  test('names each action once', () => {
    expect(parseScope('repository:a:pull,,push,pull')?.actions).toEqual(['pull', 'push']);
  });

  test.each([
    '',
    ':',
    '::',
    'aws',
    'repository:a',
    'repository::pull',
    ':a:pull',
    'Repository:a:pull',
    'repository():a:pull',
    'repository(plugin:a:pull',
    'repository:A:pull',
    'repository:a//b:pull',
    'repository:../a:pull',
    'repository:a%2fb:pull',
    'repository:host:99999/a:pull',
    'repository:host:5000/:pull',
    'repository:a:Pull',
    'repository:a:pull;push',
    'repository:a:**',
    'repository:a"b:pull',
    'repository:a\nb:pull',
    `repository:${'a'.repeat(300)}:pull`,
    `repository:${'a/'.repeat(4000)}a:pull`,
  ])('is not: %s', (text) => {
    expect(parseScope(text)).toBeUndefined();
  });
});

describe('what one question asks for', () => {
  test('stands in one parameter or in several', () => {
    const [a, b] = [parseScope('repository:a:pull'), parseScope('repository:b:push')];
    expect(readScopes(['repository:a:pull', 'repository:b:push'])).toEqual({ scopes: [a, b], unread: 0 });
    expect(readScopes([' repository:a:pull  repository:b:push '])).toEqual({ scopes: [a, b], unread: 0 });
    expect(readScopes([])).toEqual({ scopes: [], unread: 0 });
    expect(readScopes([''])).toEqual({ scopes: [], unread: 0 });
  });

  test('is one scope for a name, however often it is asked for', () => {
    const twice = ['repository:a:pull', 'repository:a:pull,push', 'repository(plugin):a:pull'];
    expect(readScopes(twice)?.scopes.map(formatScope)).toEqual(['repository:a:pull,push', 'repository(plugin):a:pull']);
  });

  test('says how much of it could not be read', () => {
    expect(readScopes(['repository:a:pull nonsense', 'x'])).toMatchObject({ scopes: [{ name: 'a' }], unread: 2 });
  });

  test('is bounded', () => {
    const scopes = (count: number): string => Array.from({ length: count }, (_, at) => `repository:a${at}:pull`).join(' ');
    expect(readScopes([scopes(SCOPES_MAX)])?.scopes).toHaveLength(SCOPES_MAX);
    expect(readScopes([scopes(SCOPES_MAX + 1)])).toBeUndefined();
    expect(readScopes([scopes(10_000)])).toBeUndefined();
    expect(readScopes(scopes(SCOPES_MAX + 1).split(' '))).toBeUndefined();
    const long = `repository:a:${'pull,'.repeat(SCOPE_LENGTH_MAX)}`;
    expect(readScopes([long.slice(0, SCOPE_LENGTH_MAX)])?.scopes).toHaveLength(1);
    expect(readScopes([long.slice(0, SCOPE_LENGTH_MAX + 1)])).toBeUndefined();
    expect(readScopes([long.slice(0, SCOPE_LENGTH_MAX), 'x'])).toBeUndefined();
  });
});
