import { describe, expect, test } from 'vitest';
import { load, refusal } from './load.ts';

const route = (keys: string, upstreams = 'origin'): string =>
  `routes: [{ match: "docker.io/**", upstreams: [${upstreams}], ${keys} }]`;

describe('a date and a cooldown', () => {
  test.each([
    ['asof: 2026-11-01', Date.UTC(2026, 10, 1), 0],
    ['asof: 2026-11-01T12:30:00Z', Date.UTC(2026, 10, 1, 12, 30), 0],
    ['asof: "20261101t123000z"', Date.UTC(2026, 10, 1, 12, 30), 0],
    ['cooldown: 72h', undefined, 72 * 3_600_000],
    ['cooldown: 0', undefined, 0],
  ])('%s', async (written, asof, cooldown) => {
    expect((await load(route(written))).routes[0]!.policy).toMatchObject({ asof, cooldown });
    const defaults = `defaults: { ${written} }\n${route('retry: 1s')}`;
    expect((await load(defaults)).routes[0]!.policy).toMatchObject({ asof, cooldown });
  });

  test('a route may do without the cooldown that all others have', async () => {
    const { routes } = await load(`defaults: { cooldown: 72h }\n${route('cooldown: 0')}`);
    expect(routes[0]!.policy.cooldown).toBe(0);
  });

  test.each([
    ['asof: yesterday', /routes\[0\]\.asof.*expected a date such as 2026-11-01, or a moment such as 2026-11-01T12:00:00Z/],
    ['asof: 2026-02-30', /expected a date/],
    ['asof: 2026-11-01T12:00:00', /2026-11-01T12:00:00Z/],
    ['cooldown: 3 days', /routes\[0\]\.cooldown.*expected a duration/],
    ['cooldown: forever', /expected a duration/],
  ])('%s is an error', async (written, message) => {
    expect(await refusal(route(written))).toMatch(message);
  });

  test('where all is pushed nothing cools, which is said', async () => {
    expect((await load(route('cooldown: 1h', 'hosted'))).warnings).toEqual([
      expect.stringContaining('routes[0].cooldown has no effect here'),
    ]);
  });
});
