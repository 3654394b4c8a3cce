import { expect, test } from 'vitest';
import { parseScope, pullScope } from '../../../src/oci/scope.ts';

test.each([
  ['repository:library/alpine:pull', { type: 'repository', class: undefined, name: 'library/alpine', actions: ['pull'] }],
  ['repository:a/b:pull,push', { type: 'repository', class: undefined, name: 'a/b', actions: ['pull', 'push'] }],
  ['repository:localhost:5000/a:pull', { type: 'repository', class: undefined, name: 'localhost:5000/a', actions: ['pull'] }],
  ['repository(plugin):a/b:pull', { type: 'repository', class: 'plugin', name: 'a/b', actions: ['pull'] }],
  ['registry:catalog:*', { type: 'registry', class: undefined, name: 'catalog', actions: ['*'] }],
  ['repository:a:', { type: 'repository', class: undefined, name: 'a', actions: [] }],
])('[P116] the scope %s', (text, scope) => {
  expect(parseScope(text)).toEqual(scope);
});

test.each([
  '',
  'aws',
  'repository',
  'repository:a',
  'repository::pull',
  ':a:pull',
  'repository:a b:pull',
  'repository:a:PULL',
  'repository:a:**',
  'r(:a:pull',
  `repository:${'a'.repeat(5000)}:pull`,
])('%j is no scope', (text) => {
  expect(parseScope(text)).toBeUndefined();
});

test('[P116] what a pull needs', () => {
  expect(pullScope('library/alpine')).toBe('repository:library/alpine:pull');
  expect(parseScope(pullScope('localhost:5000/a'))).toMatchObject({ name: 'localhost:5000/a', actions: ['pull'] });
});
