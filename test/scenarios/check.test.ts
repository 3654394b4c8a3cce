import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { proveUpstreams } from '../../src/compose.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createScriptedUpstream, type ScriptedUpstream } from '../fakes/scripted-upstream.ts';

let upstream: ScriptedUpstream;
afterEach(() => upstream.close());

/** What `entrepot check` finds of one upstream, signed in to as `me`. */
async function prove(password: string) {
  const settings = {
    upstreams: { corp: { url: upstream.url, username: 'me', password } },
    routes: [{ match: 'docker.io/**', upstreams: ['corp'] }],
  };
  const readConfig = (path: string): Promise<string> =>
    path === '/c.yml' ? Promise.resolve(JSON.stringify(settings)) : readFile(path, 'utf8');
  const config = await loadConfig({ argument: '/c.yml', env: {}, directory: '/', readFile: readConfig });
  const [proof] = await proveUpstreams(config, new AbortController().signal);
  return proof!;
}

describe('check', () => {
  test('a password that is wrong is found out, although nothing is there to be read with it', async () => {
    upstream = await createScriptedUpstream({ auth: { scheme: 'bearer', username: 'me', password: 'right' } });
    expect(await prove('wrong')).toMatchObject({ ok: false, signedIn: false, message: 'our credentials were refused' });
    expect(await prove('right')).toMatchObject({ ok: true, signedIn: true });
  });

  test('also where the registry itself asks for it', async () => {
    upstream = await createScriptedUpstream({ auth: { scheme: 'basic', username: 'me', password: 'right' } });
    expect(await prove('wrong')).toMatchObject({ ok: false, signedIn: false });
    expect(await prove('right')).toMatchObject({ ok: true });
  });
});
