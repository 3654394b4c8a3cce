import { describe, expect } from 'vitest';
import { scenario, times, type Stage } from './harness.ts';
import { basic, sending, writeUsers } from './people.ts';
import { refusalOf } from './paths.ts';
import { routesTo, type Settings } from './settings.ts';
import type { Running } from './running.ts';

const own = { settings: null };
const behindProxy: Settings = { http: { addr: '127.0.0.1:0', trustedproxies: ['127.0.0.1'], debug: { addr: '127.0.0.1:0' } } };

const statusFrom = async (server: Pick<Running, 'get'>, address: string, path = '/v2/'): Promise<number> => {
  const reply = await server.get(path, { headers: { 'x-forwarded-for': address } });
  await reply.bytes();
  return reply.status;
};

describe('limits', () => {
  scenario(
    'by address: one that asks for too much is refused, others and probes are not; a reload counts from the next request on',
    async (stage) => {
      const all = { ...routesTo(stage.upstream), ...behindProxy };
      const server = await stage.start({ ...all, limits: { address: { rate: '1/h', burst: 3 } } });
      const statuses = await Promise.all(times(10, () => statusFrom(server, '192.0.2.1')));
      expect([200, 429].map((status) => statuses.filter((one) => one === status).length)).toEqual([3, 7]);
      const refused = await server.get('/v2/library/none/manifests/latest', { headers: { 'x-forwarded-for': '192.0.2.1' } });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(3000);
      expect(await refusalOf(refused)).toContain('TOOMANYREQUESTS');
      expect(stage.upstream.hits('GET manifest')).toBe(0);
      expect(await statusFrom(server, '192.0.2.2')).toBe(200);
      expect(await statusFrom(server, '192.0.2.1', '/livez')).toBe(200);
      expect(await statusFrom(server, '192.0.2.1', '/readyz')).toBe(200);
      for (const _ of times(5, () => 1)) expect((await server.debug('/debug/health')).status).toBe(200);
      await server.reload(all);
      expect(await statusFrom(server, '192.0.2.1')).toBe(200);
    },
    own,
  );

  scenario(
    'by account, and of its uploads in progress, also those from before a restart',
    async (stage) => {
      const all = await withUsers(stage, { subject: { rate: '1/h', burst: 5 }, uploads: 2 });
      const first = await stage.start(all);
      const [ann, ben] = [sending(first, basic('ann')), sending(first, basic('ben'))];
      const begin = (client: Pick<Running, 'get'>) =>
        client.get('/v2/team/app/blobs/uploads/', { method: 'POST', headers: { 'content-length': '0' } });
      expect((await begin(ann)).status).toBe(202);
      const place = (await begin(ann)).headers['location']!;
      expect(await refusalOf(await begin(ann))).toContain('TOOMANYREQUESTS');
      expect((await begin(ben)).status).toBe(202);
      expect((await ann.get(new URL(place, first.url).pathname, { method: 'DELETE' })).status).toBe(204);
      expect((await begin(ann)).status).toBe(202);
      // The sixth request of the hour.
      expect((await ann.get('/v2/')).status).toBe(429);
      await first.stop();
      const second = await stage.start(all);
      const again = await begin(sending(second, basic('ann')));
      expect([again.status, again.headers['retry-after']]).toEqual([429, '5']);
      expect((await begin(sending(second, basic('ben')))).status).toBe(202);
    },
    own,
  );
});

async function withUsers(stage: Stage, limits: Settings): Promise<Settings> {
  return {
    names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
    routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
    auth: { htpasswd: { realm: 'acme', path: await writeUsers(stage, 'ann', 'ben') } },
    limits,
  };
}
