import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { load, refusal, ROUTES } from './load.ts';

const yaml = (endpoints: string, events = ''): string => `notifications: { ${events}endpoints: [${endpoints}] }\n${ROUTES}`;

describe('notifications', () => {
  test("the official registry's file, with its defaults", async () => {
    const { notifications, warnings } = await load(
      yaml('{ name: ci, url: "http://10.0.0.7:9000/hook?token=x" }, { name: off, url: "http://x.test", disabled: true }'),
    );
    expect(warnings).toEqual([]);
    expect(notifications.includereferences).toBe(false);
    expect(notifications.endpoints).toMatchObject([
      {
        name: 'ci',
        timeout: 1_000,
        threshold: 10,
        backoff: 1_000,
        ignoredmediatypes: [],
        ignoredactions: [],
        secret: undefined,
      },
    ]);
    expect(notifications.endpoints[0]?.url.reveal()).toBe('http://10.0.0.7:9000/hook?token=x');
    expect((await load(ROUTES)).notifications).toEqual({ includereferences: false, endpoints: [] });
  });

  test('every key', async () => {
    const { notifications } = await load(
      yaml(
        '{ name: ci, url: "https://x.test/", headers: { Authorization: [Bearer t] }, timeout: 500ms, threshold: 5, backoff: 1m, ' +
          'ignoredmediatypes: [a/b], ignore: { mediatypes: [c/d], actions: [pull, mount] }, secretfile: s }',
        'events: { includereferences: true }, ',
      ),
      { files: { '/etc/test/s': 'hush\n' } },
    );
    expect(notifications.includereferences).toBe(true);
    const [endpoint] = notifications.endpoints;
    expect(endpoint).toMatchObject({ timeout: 500, threshold: 5, backoff: 60_000, ignoredmediatypes: ['a/b', 'c/d'] });
    expect(endpoint?.ignoredactions).toEqual(['pull', 'mount']);
    expect(endpoint?.headers.get('Authorization')?.map((value) => value.reveal())).toEqual(['Bearer t']);
    expect(endpoint?.secret?.reveal()).toBe('hush');
  });

  test('nothing of an address, a header or a key is shown', async () => {
    const config = await load(
      yaml('{ name: ci, url: "http://u:canary@x.test/?t=canary", headers: { X-Key: canary }, secret: canary }'),
    );
    expect(JSON.stringify(config.shown()) + inspect(config, { depth: 20 })).not.toContain('canary');
    expect(JSON.stringify(config.shown())).toContain('"ci"');
  });

  test.each([
    ['{ name: a, url: "ftp://x.test" }', 'notifications.endpoints[0].url'],
    ['{ url: "http://x.test" }', 'notifications.endpoints[0].name'],
    ['{ name: a }', 'notifications.endpoints[0].url'],
    ['{ name: a, url: "http://x.test" }, { name: a, url: "http://y.test" }', 'notifications.endpoints[1].name'],
    ['{ name: a, url: "http://x.test", threshold: 0 }', 'notifications.endpoints[0].threshold'],
    ['{ name: a, url: "http://x.test", ignore: { actions: [pulls] } }', 'notifications.endpoints[0].ignore.actions[0]'],
    ['{ name: a, url: "http://x.test", headers: { X: "a\\nb" } }', 'notifications.endpoints[0].headers.X'],
    ['{ name: a, url: "http://x.test", secret: s, secretfile: f }', 'notifications.endpoints[0].secretfile'],
  ])('%s is a fault', async (endpoints, key) => {
    expect(await refusal(yaml(endpoints))).toContain(key);
  });
});
