import { describe, expect, test } from 'vitest';
import { covers } from '../../../src/config/pattern.ts';
import { load } from './load.ts';

describe('a pattern that takes all of another', () => {
  test.each([
    ['**', 'docker.io/library/*'],
    ['docker.io/**', 'docker.io/**'],
    ['docker.io/**', 'docker.io/library/ubuntu'],
    ['docker.io/**', 'docker.io/*/x'],
    ['*/**', 'docker.io/**'],
    ['docker.io/*/x', 'docker.io/library/x'],
  ])('%s takes %s', (wider, narrower) => expect(covers(wider, narrower)).toBe(true));

  test.each([
    ['docker.io/library/*', 'docker.io/library/**'],
    ['docker.io/library/**', 'docker.io/**'],
    ['docker.io/**', '**'],
    ['docker.io/**', 'ghcr.io/**'],
    ['docker.io/*', 'docker.io/a/b'],
    ['docker.io/**', 'docker.io'],
    ['*/**', '**/x'],
    ['**/x', 'docker.io/x'],
  ])('%s is not said to take %s', (wider, narrower) => expect(covers(wider, narrower)).toBe(false));
});

test('a route that an earlier one hides is warned of, with its line; so is an upstream that no route names', async () => {
  const { warnings } = await load(
    [
      'upstreams:',
      '  corp: { url: "https://corp.test" }',
      '  idle: { url: "https://idle.test" }',
      'routes:',
      '  - match: well-known',
      '    upstreams: [origin]',
      '  - match: [docker.io/library/**, ghcr.io/**]',
      '    name: late',
      '    upstreams: [corp]',
      '  - match: [docker.io/**, other.test/**]',
      '    name: more',
      '    upstreams: [corp]',
    ].join('\n'),
  );
  expect(warnings).toEqual([
    'config.yml:7: the route late is never reached: well-known stands before it and takes all that it matches',
    'upstreams.idle stands in no route: it is never asked',
  ]);
});

test('what defaults keep of a rate limit holds where a route writes nothing else', async () => {
  const yaml = [
    'defaults: { ratelimit: { reserve: 20 } }',
    'routes:',
    '  - { match: "a.test/**", upstreams: origin }',
    '  - { match: "b.test/**", upstreams: origin, ratelimit: { reserve: 0 } }',
  ];
  const { routes } = await load(yaml.join('\n'));
  expect(routes.map(({ policy }) => policy.ratelimit.reserve)).toEqual([20, 0]);
  const plain = await load('routes: [{ match: "**", upstreams: origin }]');
  expect(plain.routes[0]?.policy.ratelimit.reserve).toBe(0);
});
