import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { proveUpstreams } from '../../src/compose/open-store.ts';
import { createChains } from '../../src/compose/chains.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/system/clock.ts';
import { nodeDisk } from '../../src/system/node-disk.ts';
import { systemRandom } from '../../src/system/random.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { createProcessMemory } from '../../src/upstream/with-quota.ts';
import { createFakeClock } from '../fakes/fake-clock.ts';
import { createScriptedUpstream, type ScriptedUpstream } from '../fakes/scripted-upstream.ts';

let upstream: ScriptedUpstream;
afterEach(() => upstream.close());

/** One upstream, signed in to as `me`, or otherwise. */
async function configWith(
  account: string | Readonly<Record<string, unknown>>,
  policy: Readonly<Record<string, unknown>> = {},
): Promise<Config> {
  const settings = {
    upstreams: {
      corp: { url: upstream.url, ...(typeof account === 'string' ? { username: 'me', password: account } : account) },
    },
    routes: [{ match: 'docker.io/**', upstreams: ['corp'], ...policy }],
  };
  const readConfig = (path: string): Promise<string> =>
    path === '/c.yml' ? Promise.resolve(JSON.stringify(settings)) : readFile(path, 'utf8');
  return loadConfig({ argument: '/c.yml', env: {}, directory: '/', readFile: readConfig });
}

/** What `entrepot check` finds of it. */
async function prove(account: Parameters<typeof configWith>[0]) {
  const [proof] = await proveUpstreams(await configWith(account), new AbortController().signal);
  return proof!;
}

describe('check', () => {
  test('a password that is wrong is found out, although nothing is there to be read with it', async () => {
    upstream = await createScriptedUpstream({ auth: { scheme: 'bearer', username: 'me', password: 'right' } });
    expect(await prove('wrong')).toMatchObject({
      ok: false,
      signedIn: false,
      message: 'auth: corp refused our credentials (401)',
    });
    expect(await prove('right')).toMatchObject({ ok: true, signedIn: true });
  });

  test('also where the registry itself asks for it', async () => {
    upstream = await createScriptedUpstream({ auth: { scheme: 'basic', username: 'me', password: 'right' } });
    expect(await prove('wrong')).toMatchObject({ ok: false, signedIn: false });
    expect(await prove('right')).toMatchObject({ ok: true });
  });

  test('and why there are no credentials, where there should be', async () => {
    upstream = await createScriptedUpstream({ auth: { scheme: 'bearer', username: 'me', password: 'right' } });
    expect(await prove({ helper: 'nowhere' })).toMatchObject({
      ok: false,
      signedIn: false,
      message: expect.stringContaining('the credential helper docker-credential-nowhere cannot be run (ENOENT)'),
    });
  });
});

test('explain asks each upstream of the chain once, as it is written: not again for who asks it without credentials', async () => {
  upstream = await createScriptedUpstream();
  const system = { clock: systemClock, random: systemRandom, disk: nodeDisk, run: runProgram };
  const deps = { ...system, report: () => undefined, memoryOf: () => undefined };
  const chains = createChains(await configWith('p'), { ...deps, env: {}, version: 'test' });
  const view = chains.routeOf({ registry: 'docker.io', repository: 'library/alpine' });
  expect(view?.chain.map(({ name }) => name)).toEqual(['corp']);
  await chains.upstreams.close();
});

test.each([
  ['1m', 2, 2],
  ['2h', 119, 1],
])(
  'authttl: %s is how long it is believed that what the account pays for can be read without',
  async (authttl, later, proofs) => {
    upstream = await createScriptedUpstream();
    upstream.image('library/alpine', '1');
    const clock = createFakeClock();
    const system = { clock, random: systemRandom, disk: nodeDisk, run: runProgram };
    const deps = { ...system, report: () => undefined, memoryOf: () => undefined };
    const { upstreams } = createChains(await configWith('p', { authttl }), { ...deps, env: {}, version: 'test' });
    const ask = {
      kind: 'manifest',
      method: 'GET',
      registry: 'docker.io',
      repository: 'library/alpine',
      reference: '1',
    } as const;
    for (const minutes of [0, later]) {
      await clock.advance(minutes * 60_000);
      const answer = await upstreams.byName.get('corp')?.ask(ask, new AbortController().signal);
      if (answer?.kind === 'found') answer.body?.close();
    }
    expect(upstream.seen('manifest').filter(({ method }) => method === 'HEAD').length).toBe(proofs);
    await upstreams.close();
  },
);

test('another account need not wait for what the one before it has spent; a rotated password is no other', async () => {
  upstream = await createScriptedUpstream();
  upstream.all.status(429, { 'retry-after': '600' });
  const memory = createProcessMemory();
  const system = { clock: systemClock, random: systemRandom, disk: nodeDisk, run: runProgram };
  const deps = { ...system, report: () => undefined, memoryOf: () => memory, env: {}, version: 'test' };
  const ask = { kind: 'tags', method: 'GET', registry: 'docker.io', repository: 'a/b', reference: '' } as const;
  await memory.keep(`public docker.io/a/b at ${upstream.url}/ `, { value: 'yes', until: Date.now() + 600_000 });
  const asked: number[] = [];
  for (const account of [{ username: 'ann' }, { username: 'ann' }, { username: 'ben' }]) {
    const password = `password ${asked.length}`;
    const { upstreams } = createChains(await configWith({ ...account, password }), deps);
    expect(await upstreams.byName.get('corp')?.ask(ask, new AbortController().signal)).toMatchObject({ kind: 'limited' });
    asked.push(upstream.seen('tags').length);
    await upstreams.close();
  }
  expect(asked).toEqual([1, 1, 2]);
});
