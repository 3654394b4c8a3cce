import { expect, test } from 'vitest';

import { createScriptedUpstream } from '../../fakes/scripted-upstream.ts';
import { atEnd, never, readAll, upstreamOf, wantBlob, wantManifest } from './servers.ts';

/** The scripted registry that the whole house is tested against, so that the two are known to agree. */
test('[P71] [P117] an image behind a token realm of its own host, its layer behind a redirect, its token expiring', async () => {
  const tokens = await createScriptedUpstream({ auth: { scheme: 'bearer' } });
  const registry = await createScriptedUpstream({ auth: { scheme: 'bearer', realm: `${tokens.url}/token` } });
  atEnd(async () => {
    await registry.close();
    await tokens.close();
  });
  tokens.tokensOf(registry);
  const image = registry.image('library/alpine', '3.20');
  const upstream = upstreamOf({ url: new URL(registry.url) });

  const head = await upstream.ask(wantManifest({ method: 'HEAD' }), never);
  expect(head).toMatchObject({ kind: 'found', anonymous: true });
  await readAll(await upstream.ask(wantManifest(), never));
  expect(tokens.hits('token')).toBe(1);

  const [layer] = image.layers;
  registry.auth.expireTokens();
  const part = await upstream.ask(wantBlob({ reference: layer!.digest, range: { from: 1 } }), never);
  expect(part).toMatchObject({ kind: 'found', status: 206, from: 1, size: layer!.bytes.byteLength });
  expect(Buffer.byteLength(await readAll(part), 'utf8')).toBeGreaterThan(0);
  expect(tokens.hits('token')).toBe(2);
  expect(await upstream.ask(wantManifest({ reference: 'gone' }), never)).toMatchObject({ kind: 'absent' });
});
