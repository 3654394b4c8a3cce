import { describe, expect, test } from 'vitest';
import { createAccess } from '../../../src/auth/access.ts';
import { NO_WAYS } from '../../../src/auth/identify.ts';
import { createAuth } from '../../../src/auth/auth.ts';
import { createLimits, type RequestLimits } from '../../../src/http/limits.ts';
import type { Reply } from '../../../src/pull/reply.ts';
import { createFakeClock, type FakeClock } from '../../fakes/fake-clock.ts';
import { startEdge, type Edge } from './edge.ts';

/** Lets everything else go on until it is so. */
async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    if (turns === 10_000) throw new Error('it is never so');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const NONE = { rate: undefined, concurrent: undefined };
const once = { rate: { perSecond: 0.1, burst: 1 }, concurrent: undefined };

/** The edge with limits of its own clock, which stands still unless the test moves it. */
async function limited(limits: RequestLimits, more: Parameters<typeof startEdge>[0] = {}): Promise<Edge & { time: FakeClock }> {
  const time = createFakeClock();
  const edge = await startEdge({ ...more, app: { ...more.app, limits: createLimits(time, () => limits) } });
  return { ...edge, time };
}

const from = (address: string, more: Record<string, string> = {}): RequestInit => ({
  headers: { 'x-forwarded-for': address, ...more },
});

describe('a limit by address', () => {
  test('is 429 TOOMANYREQUESTS with Retry-After, for whatever is asked for but the probes', async () => {
    const edge = await limited({ address: once, subject: NONE });
    expect((await edge.get('/v2/')).status).toBe(200);
    for (const path of ['/v2/', '/v2/_catalog', '/token', '/client/docker', '/none', '/v2/UPPER/tags/list']) {
      const refused = await edge.get(path);
      expect([path, refused.status, refused.headers.get('retry-after')]).toEqual([path, 429, '10']);
      expect(await refused.json()).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] });
    }
    for (const path of ['/livez', '/readyz']) expect((await edge.get(path)).status).toBe(200);
    await edge.time.advance(10_000);
    expect((await edge.get('/v2/')).status).toBe(200);
  });

  test('[S30] is of the client that trusted proxies tell, an IPv6 /64 as one; of others the peer', async () => {
    const edge = await limited({ address: once, subject: NONE }, { trusted: ['127.0.0.1'] });
    const statusFrom = async (address: string): Promise<number> => (await edge.get('/v2/', from(address))).status;
    expect(await statusFrom('192.0.2.1')).toBe(200);
    expect(await statusFrom('192.0.2.2')).toBe(200);
    expect(await statusFrom('203.0.113.9, 192.0.2.1')).toBe(429);
    expect(await statusFrom('::ffff:192.0.2.1')).toBe(429);
    expect(await statusFrom('2001:db8:1:2::1')).toBe(200);
    expect(await statusFrom('2001:db8:1:2:ffff::9')).toBe(429);
    expect(await statusFrom('2001:db8:1:3::1')).toBe(200);
    const untrusting = await limited({ address: once, subject: NONE });
    expect((await untrusting.get('/v2/', from('192.0.2.1'))).status).toBe(200);
    expect((await untrusting.get('/v2/', from('192.0.2.2'))).status).toBe(429);
  });

  test('keeps who is only a little early waiting, and does not refuse them', async () => {
    const edge = await limited({ address: { rate: { perSecond: 2, burst: 1 }, concurrent: undefined }, subject: NONE });
    await edge.get('/v2/');
    const waits = edge.get('/v2/');
    await until(() => edge.time.pending() > 0);
    await edge.time.advance(499);
    expect(edge.records()).toHaveLength(1);
    await edge.time.advance(1);
    expect((await waits).status).toBe(200);
  });

  test('of requests at once ends with each answer, and with a client that goes', async () => {
    let entered = 0;
    let open = (): void => undefined;
    const catalog = async (): Promise<Reply> => {
      entered += 1;
      await new Promise<void>((resolve) => (open = resolve));
      return { status: 200, headers: { 'content-length': '0' }, body: { kind: 'none' } };
    };
    const edge = await limited({ address: { rate: undefined, concurrent: 1 }, subject: NONE }, { lists: { catalog } });
    const ended = (count: number): Promise<void> => until(() => edge.records().length === count);

    const first = edge.get('/v2/_catalog');
    await until(() => entered === 1);
    const second = edge.get('/v2/');
    await until(() => edge.time.pending() > 0);
    await edge.time.advance(1000);
    const refused = await second;
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    open();
    expect((await first).status).toBe(200);
    await ended(2);
    const third = edge.get('/v2/');
    await ended(3);
    expect((await third).status).toBe(200);

    const socket = await edge.connect();
    socket.write('GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => entered === 2);
    socket.destroy();
    await ended(4);
    const fourth = edge.get('/v2/');
    await ended(5);
    expect((await fourth).status).toBe(200);
    open();
  });
});

describe('a limit by who it is', () => {
  const auth = createAuth({
    access: createAccess({ rules: undefined, groups: new Map(), signsIn: true }),
    challenge: { kind: 'basic', realm: 'r' },
    ways: {
      ...NO_WAYS,
      passwords: {
        verify: async (username, password) => (password === 'right' ? { kind: 'user', name: username } : undefined),
        recognize: async () => undefined,
        stands: async () => true,
        fingerprint: () => 'f',
      },
    },
    openHosts: [],
    token: undefined,
    report: () => undefined,
  });
  const as = (user: string, password = 'right') => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  });

  test('counts whoever proved who they are, wherever they are; and not who only says so', async () => {
    const edge = await limited({ address: NONE, subject: once }, { app: { auth }, trusted: ['127.0.0.1'] });
    const status = async (...init: Parameters<typeof from>): Promise<number> => (await edge.get('/v2/', from(...init))).status;
    expect(await status('192.0.2.1', as('ann', 'wrong'))).toBe(401);
    expect(await status('192.0.2.1', as('ann'))).toBe(200);
    expect(await status('192.0.2.2', as('ann'))).toBe(429);
    expect(await status('192.0.2.1', as('ben'))).toBe(200);
  });

  test('counts nobody together who has not said who they are', async () => {
    const edge = await limited({ address: NONE, subject: once });
    expect([(await edge.get('/v2/')).status, (await edge.get('/v2/')).status]).toEqual([200, 200]);
  });
});

test('what a reload allows is allowed to the next request, and what was counted stays', async () => {
  const time = createFakeClock();
  let limits: RequestLimits = { address: once, subject: NONE };
  const edge = await startEdge({ app: { limits: createLimits(time, () => limits) } });
  const status = async (): Promise<number> => (await edge.get('/v2/')).status;
  expect([await status(), await status()]).toEqual([200, 429]);
  limits = { address: NONE, subject: NONE };
  expect(await status()).toBe(200);
  limits = { address: { rate: { perSecond: 0.1, burst: 5 }, concurrent: undefined }, subject: NONE };
  expect(await status()).toBe(429);
});
