import { describe, expect, test } from 'vitest';

import { createGuard, isPublicAddress, ownPlaceOf, RefusedAddress, type Address } from '../../../src/upstream/guard.ts';
import { never, sendManifest, serve, upstreamOf, wantManifest } from './servers.ts';

/** As a redirect or a name would spell them. */
const SPELLINGS = [
  'http://169.254.169.254/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[::ffff:169.254.169.254]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://0251.0376.0251.0376/',
  'http://0/',
  'http://127.1/',
  'http://127.0.0.1./',
  'http://localhost/',
  'http://localhost./',
  'http://a.localhost/',
  'http://[::1]/',
  'http://[::]/',
  'http://[::127.0.0.1]/',
  'http://[2002:7f00:1::]/',
  'http://[2001:0:7f00:1::]/',
  'http://[fe80::1]/',
  'http://[fd00::1]/',
  'http://[ff02::1]/',
  'http://10.0.0.1/',
  'http://172.31.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://192.0.2.1/',
  'http://198.18.0.1/',
];

const strict = { trusts: () => false, allow: [], resolve: async () => [] };
const yields =
  (...addresses: string[]) =>
  async (): Promise<readonly Address[]> =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

describe('[S06] private addresses', () => {
  test.each(SPELLINGS)('%s is refused', async (spelling) => {
    const { hostname } = new URL(spelling);
    const guard = createGuard({ ...strict, resolve: yields('127.0.0.1') });
    await expect(guard.resolve(hostname)).rejects.toThrow(RefusedAddress);
    expect(() => guard.judgeName(hostname)).toThrow(/names\.allow/);
  });

  test.each(['93.184.216.34', '2606:2800:220:1::1', '::ffff:93.184.216.34'])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test('one private address among public ones is enough; the error names the host and the remedy', async () => {
    const guard = createGuard({ ...strict, resolve: yields('93.184.216.34', '10.0.0.8') });
    await expect(guard.resolve('registry.test')).rejects.toThrow(
      /registry\.test is at the private address 10\.0\.0\.8.*names\.allow/,
    );
  });

  test.each(['registry.corp.test', 'registry.corp.test:5000', '10.0.0.8', '10.0.0.0/8', 'REGISTRY.corp.test.'])(
    'names.allow %s lets it through',
    async (entry) => {
      const guard = createGuard({ ...strict, allow: [entry], resolve: yields('10.0.0.8') });
      expect(await guard.resolve('registry.corp.test')).toEqual([{ address: '10.0.0.8', family: 4 }]);
    },
  );

  test.each(['::1', '[::1]', '[::1]:5000'])('names.allow %s', async (entry) => {
    expect(await createGuard({ ...strict, allow: [entry] }).resolve('[::1]')).toEqual([{ address: '::1', family: 6 }]);
  });

  test('an allowed block is that block alone', async () => {
    const guard = createGuard({ ...strict, allow: ['10.0.0.0/8', '::/0'], resolve: yields('192.168.0.1') });
    await expect(guard.resolve('x.test')).rejects.toThrow(RefusedAddress);
  });

  test('a name of this server is never dialled, wherever it leads', async () => {
    const guard = createGuard({
      trusts: () => true,
      allow: [],
      never: ['registry.acme.test'],
      resolve: yields('93.184.216.34'),
    });
    await expect(guard.resolve('registry.acme.test.')).rejects.toThrow(/names\.self/);
  });
});

describe('[S06] an upstream whose owner would like it to be private', () => {
  const PUBLIC = '93.184.216.34';
  const placeAfter = async (...answers: readonly (readonly string[])[]): Promise<boolean> => {
    const place = ownPlaceOf('registry.test');
    for (const addresses of answers) {
      const guard = createGuard({ trusts: () => true, allow: [], seen: place.seen, resolve: yields(...addresses) });
      await guard.resolve('registry.test');
      await guard.resolve('10.0.0.9');
    }
    return place.isPrivate();
  };

  test.each([
    [[['10.0.0.8']], true],
    [[['10.0.0.8', '::1']], true],
    [[[PUBLIC, '10.0.0.8']], false],
    [[[PUBLIC], ['10.0.0.8']], false],
    [[['10.0.0.8'], [PUBLIC], ['127.0.0.1']], false],
  ])('its name resolves to %j: private %s', async (answers, isPrivate) => {
    expect(await placeAfter(...answers)).toBe(isPrivate);
  });

  test.each([
    ['localhost', true],
    ['10.0.0.8', true],
    ['::1', true],
    [PUBLIC, false],
    ['registry.test', false],
  ])('%s, before it was resolved: private %s', (own, isPrivate) => {
    expect(ownPlaceOf(own).isPrivate()).toBe(isPrivate);
  });
});

describe('[S06] on the way', () => {
  const metadata = async () => await serve((_request, response) => sendManifest(response));

  test('[CVE-2026-32591] origin dials nothing private, unless it is allowed', async () => {
    const server = await metadata();
    await expect(upstreamOf(server, { publicOnly: true }).ask(wantManifest(), never)).rejects.toMatchObject({
      reason: 'connect',
      message: expect.stringContaining('names.allow'),
    });
    expect(server.sockets.size + server.seen.length).toBe(0);
    expect(
      await upstreamOf(server, { publicOnly: true, allow: ['127.0.0.0/8'] }).ask(wantManifest({ method: 'HEAD' }), never),
    ).toMatchObject({ kind: 'found' });
  });

  test('what was judged is what is dialled: a second, private answer of the resolver is never asked for', async () => {
    const server = await metadata();
    let asked = 0;
    const resolve = async (): Promise<readonly Address[]> => [{ address: asked++ === 0 ? '127.0.0.1' : '10.0.0.1', family: 4 }];
    const url = new URL(`http://registry.test:${server.url.port}`);
    const upstream = upstreamOf({ url }, { publicOnly: true, allow: ['127.0.0.1'] }, { resolve });
    expect(await upstream.ask(wantManifest({ method: 'HEAD' }), never)).toMatchObject({ kind: 'found' });
    expect(asked).toBe(1);
  });

  test('a public upstream leads to no private address, a listed one excepted; a private upstream may', async () => {
    const inside = await metadata();
    const led = { location: `http://inside.test:${inside.url.port}/v2/x` };
    const outside = await serve((_request, response) => void response.writeHead(307, led).end());
    const url = new URL(`http://outside.test:${outside.url.port}`);
    // Loopback plays a public address for the one name that is allowed; for any other it is what it is.
    const resolve = async (): Promise<readonly Address[]> => [{ address: '127.0.0.1', family: 4 }];
    const ask = async (options: object): Promise<unknown> =>
      await upstreamOf({ url }, options, { resolve }).ask(wantManifest({ method: 'HEAD' }), never);
    const asPublic = { publicOnly: true, allow: ['outside.test'] };
    await expect(ask(asPublic)).rejects.toMatchObject({ reason: 'connect', message: expect.stringContaining('inside.test') });
    expect(inside.sockets.size).toBe(0);
    expect(await ask({ ...asPublic, redirectHosts: ['inside.test'] })).toMatchObject({ kind: 'found' });
    expect(await ask({})).toMatchObject({ kind: 'found' });
  });
});
