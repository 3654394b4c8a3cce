import { describe, expect, test } from 'vitest';
import { load, refusal } from './load.ts';

const A = `sha256:${'a'.repeat(64)}`;
const B = `sha512:${'b'.repeat(128)}`;
const route = (more: string, top = ''): string => `${top}routes: [{ match: "**", upstreams: [origin], ${more} }]`;

describe('digests', () => {
  test('are lists, or one; what a route does not say defaults say, as a whole', async () => {
    const yaml = `defaults: { digests: { allow: [${A}, ${B}] } }
routes:
  - { match: a.test/**, upstreams: [origin], digests: { deny: ${B} } }
  - { match: b.test/**, upstreams: [origin] }
  - { match: c.test/**, upstreams: [origin], digests: {} }`;
    const { routes, warnings } = await load(yaml);
    expect(routes.map(({ policy }) => policy.digests)).toEqual([{ deny: [B] }, { allow: [A, B], deny: [] }, { deny: [] }]);
    expect(warnings).toEqual([]);
  });

  test.each([
    [route(`digests: { allow: [] }`), 'config.yml:1:64: routes[0].digests.allow: expected at least one digest'],
    [
      `defaults: { digests: { allow: [] } }\n${route('push: false')}`,
      'config.yml:1:31: defaults.digests.allow: expected at least one digest',
    ],
    [route(`digests: { deny: [${A}, sha256:abc] }`), 'routes[0].digests.deny[1]: expected a digest such as sha256:'],
    [route(`digests: { deny: [sha256:${'A'.repeat(64)}] }`), 'routes[0].digests.deny[0]: expected a digest'],
    [route(`digests: { allowed: [${A}] }`), 'routes[0].digests.allowed'],
  ])('%s', async (yaml, said) => expect(await refusal(yaml)).toContain(said));

  test('that are allowed and denied are told of', async () => {
    const { warnings } = await load(route(`digests: { allow: [${A}], deny: [${A}] }`));
    expect(warnings).toEqual([`routes[0].digests allows and denies ${A}: it is denied`]);
  });
});

describe('admit', () => {
  test('has two minutes, and refuses what nobody has looked at; its address is shown to nobody', async () => {
    const { routes, warnings, shown } = await load(route('admit: { url: "http://me:secret@scanner.test/x?y=1" }'));
    const { admit } = routes[0]!.policy;
    expect([admit?.url.reveal(), admit?.timeout, admit?.onerror]).toEqual([
      'http://me:secret@scanner.test/x?y=1',
      120_000,
      'deny',
    ]);
    expect(warnings).toEqual([]);
    expect(JSON.stringify(shown())).not.toContain('secret');
  });

  test.each([
    [route('admit: { timeout: 1m }'), 'routes[0].admit.url'],
    [route('admit: { url: scanner.test }'), 'routes[0].admit.url: expected a URL'],
    [route('admit: { url: "http://s.test", timeout: 10ms }'), 'routes[0].admit.timeout: expected a duration from 1000ms'],
    [route('admit: { url: "http://s.test", onerror: block }'), 'routes[0].admit.onerror: expected one of allow, deny'],
  ])('%s', async (yaml, said) => expect(await refusal(yaml)).toContain(said));

  test('of what only clients can read is told of', async () => {
    const yaml = `upstreams: { corp: { url: https://corp.test } }
routes: [{ match: "corp.test/**", upstreams: [corp], passthrough: true, admit: { url: "http://s.test" } }]`;
    const { warnings } = await load(yaml);
    expect(warnings.join('\n')).toContain('routes[0].admit asks about what only clients can read (passthrough)');
  });
});
