import { describe, expect, test } from 'vitest';

import { systemClock } from '../../../src/system/clock.ts';
import { createOrigin, type OriginOptions } from '../../../src/upstream/origin.ts';
import { atEnd, never, wantManifest } from './servers.ts';

function originOf(options: Partial<OriginOptions> = {}, resolve: (host: string) => Promise<never> = refuse) {
  const origin = createOrigin(
    { credentialsFor: () => async () => undefined, hasCredentials: () => false, proxy: 'none', ...options },
    { clock: systemClock, resolve },
  );
  atEnd(() => origin.close());
  return origin;
}

const asked: string[] = [];

async function refuse(host: string): Promise<never> {
  asked.push(host);
  throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
}

describe('origin', () => {
  test('[P103] asks each registry at its own address, Docker Hub at its own', async () => {
    asked.length = 0;
    const origin = originOf();
    for (const registry of ['docker.io', 'quay.io', 'reg.test:5000']) {
      await expect(origin.ask(wantManifest({ registry }), never)).rejects.toMatchObject({ reason: 'dns', upstream: registry });
    }
    expect(asked).toEqual(['registry-1.docker.io', 'quay.io', 'reg.test']);
    expect(origin.statuses().map(({ name, url }) => [name, url])).toEqual([
      ['docker.io', 'https://registry-1.docker.io'],
      ['quay.io', 'https://quay.io'],
      ['reg.test:5000', 'https://reg.test:5000'],
    ]);
  });

  test.each(['localhost:5000', '127.0.0.1:5000', '169.254.169.254', '[::1]:5000', '10.0.0.1'])(
    '[S06] never asks %s',
    async (registry) => {
      await expect(originOf().ask(wantManifest({ registry }), never)).rejects.toMatchObject({
        reason: expect.stringMatching(/connect|dns/),
      });
    },
  );

  test('never dials a name of this server', async () => {
    asked.length = 0;
    await expect(
      originOf({ self: ['registry.acme.test'] }).ask(wantManifest({ registry: 'registry.acme.test' }), never),
    ).rejects.toMatchObject({ message: expect.stringContaining('names.self') });
    expect(asked).toEqual([]);
  });

  test('keeps the registries that were asked last', async () => {
    const origin = originOf({ registriesMax: 2 });
    for (const registry of ['a.test', 'b.test', 'a.test', 'c.test']) origin.at(registry);
    expect(origin.statuses().map(({ name }) => name)).toEqual(['a.test', 'c.test']);
  });

  test('a registry without configured credentials has no second face', async () => {
    const origin = originOf({
      hasCredentials: (registry) => registry === 'docker.io',
      credentialsFor: () => async () => ({ kind: 'password', username: 'u', password: 'p' }),
    });
    expect(origin.at('docker.io').withoutCredentials()).toBeDefined();
    expect(origin.at('quay.io').withoutCredentials()).toBeUndefined();
    expect(await origin.withoutCredentials()?.ask(wantManifest({ registry: 'quay.io' }), never)).toEqual({ kind: 'absent' });
  });
});
