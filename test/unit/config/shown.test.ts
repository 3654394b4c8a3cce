import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../src/config/secret.ts';
import { load } from './load.ts';

const CANARIES = `
http: { host: "https://m.test" }
metadata: redis
redis: { addr: "r:1", username: ann, password: canary1 }
credentials: { docker.io: { username: bob, password: canary2 }, ghcr.io: { username: eve, passwordfile: p } }
upstreams:
  a: { url: "https://x.test", username: joe, password: canary4, headers: { Authorization: Bearer canary5 }, proxy: "http://u:canary6@p.test" }
health: { http: [{ uri: "http://u:canary9@h.test/x?token=canary9", headers: { Authorization: [canary7] } }] }
routes: [{ match: "**", upstreams: [a] }]
`;
const PEM_KEY = { '/etc/test/p': 'canary3\n' };

describe('secrets', () => {
  test('stay hidden in what check prints, and in every printing of the configuration', async () => {
    const config = await load(CANARIES, { files: PEM_KEY });
    for (const printed of [
      JSON.stringify(config),
      JSON.stringify(config.shown()),
      inspect(config, { depth: 20, showHidden: true }),
      `${String(config.upstreams.get('a')?.account)}`,
    ]) {
      expect(printed).not.toContain('canary');
    }
    expect(config.shown()).toMatchObject({
      redis: { username: 'ann', password: '***' },
      upstreams: { a: { username: 'joe', password: '***', headers: { Authorization: '***' }, proxy: '***' } },
    });
  });

  test('stay hidden in faults', async () => {
    const outcome = await load(CANARIES.replace('https://m.test', 'canary8'), { files: PEM_KEY }).catch(
      (error: unknown) => error,
    );
    expect(inspect(outcome, { depth: 20 })).not.toContain('canary');
  });

  test('print as stars in every way', () => {
    const secret = new Secret('canary');
    expect(
      [
        secret.toString(),
        String(secret),
        JSON.stringify({ secret }),
        inspect(secret),
        inspect({ secret }, { showHidden: true }),
      ].join(),
    ).not.toContain('canary');
    expect(secret.reveal()).toBe('canary');
  });
});

test('what is shown has the defaults in it, and no section that nobody wrote', async () => {
  const { shown } = await load('routes: [{ match: "**", upstreams: origin }]');
  expect(shown()).toMatchObject({
    http: { addr: ':5000', draintimeout: '25s' },
    defaults: { tagttl: '5m' },
    routes: [{ upstreams: ['origin'] }],
  });
  expect(shown()).not.toHaveProperty('redis');
});
