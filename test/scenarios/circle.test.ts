import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { scenario, times, type Stage } from './harness.ts';
import type { RunningHere } from './in-process.ts';
import { ALPINE, blobPath, manifestPath, refusalOf } from './paths.ts';
import { chainTo, ROOMY, routesTo, type Settings } from './settings.ts';

const own = { settings: null };

/** Long enough that only the end of the scenario would end a wait. */
const PATIENT = { timeout: { headers: '5m', stall: '5m' } };

/** Each asks the next one first, the last the first; then those of `more`. Over docker.io by path. */
async function circle(stage: Stage, count: number, more: Readonly<Record<string, Settings>> = {}): Promise<RunningHere[]> {
  const nowhere = { url: 'http://127.0.0.1:9' };
  const mirrors: RunningHere[] = [];
  for (const at of times(count, (index) => index)) {
    mirrors.push(await stage.start(chainTo({ next: nowhere, ...more }), `mirror-${at}`));
  }
  for (const [at, mirror] of mirrors.entries()) {
    const next = { url: mirrors[(at + 1) % count]!.url, path: 'docker.io', ...PATIENT };
    await mirror.reload({ http: { addr: '127.0.0.1:0' }, ...reloaded(stage, at, { next, ...more }) });
  }
  return mirrors;
}

function reloaded({ directory }: Stage, at: number, upstreams: Readonly<Record<string, Settings>>): Settings {
  return {
    version: 0.1,
    http: { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } } },
    storage: { filesystem: { rootdirectory: `${directory}/mirror-${at}` } },
    cache: ROOMY,
    ...chainTo(upstreams),
  };
}

const signature = (upstream: ScriptedUpstream, pattern = 'GET'): string[] =>
  upstream.seen(pattern).map(({ headers }) => headers.via ?? '');

describe.concurrent('a mirror signs what it asks', () => {
  scenario('with one name, also after a restart, and not where it is redirected to', async (stage) => {
    const { upstream, server } = stage;
    const other = await stage.addUpstream();
    const [here, there] = [randomBlob(1000), randomBlob(2000)];
    upstream.blob(ALPINE, here);
    other.file('/signed', there);
    upstream.blob(ALPINE, there).redirectTo(`${other.url}/signed`);
    for (const blob of [here, there]) expect((await server.get(blobPath(blob))).status).toBe(200);
    await server.stop();
    const again = await stage.start(routesTo(upstream));
    await again.get(blobPath(randomBlob(3000)));
    expect(new Set(signature(upstream))).toEqual(new Set([expect.stringMatching(/^1\.1 entrepot-[0-9a-f]{16}$/)]));
    expect(new Set(signature(upstream)).size).toBe(1);
    expect(signature(other)).toEqual(['']);
  });

  scenario('after those who asked it, and tells nobody of other proxies', async ({ upstream, server }) => {
    const blob = randomBlob(1000);
    upstream.blob(ALPINE, blob);
    const via = 'HTTP/1.1 entrepot-00000000000000aa (inside), 1.1 proxy.corp.test:3128, 1.0 entrepot-00000000000000bb';
    await server.get(blobPath(blob), { headers: { via } });
    expect(signature(upstream)).toEqual([
      expect.stringMatching(/^1\.1 entrepot-00000000000000aa, 1\.1 entrepot-00000000000000bb, 1\.1 entrepot-[0-9a-f]{16}$/),
    ]);
  });

  scenario('and is asked by nobody in a longer row than twenty', async ({ upstream, server }) => {
    const blob = randomBlob(1000);
    upstream.blob(ALPINE, blob);
    const via = (count: number): string => times(count, (at) => `1.1 entrepot-${String(at).padStart(16, '0')}`).join(', ');
    expect(await refusalOf(await server.get(blobPath(blob), { headers: { via: via(20) } }))).toBe('508 UNAVAILABLE');
    expect((await server.get('/v2/', { headers: { via: via(20) } })).status).toBe(200);
    expect((await server.get(blobPath(blob), { headers: { via: via(19) } })).status).toBe(200);
  });
});

describe.concurrent('a mirror that is its own upstream', () => {
  scenario(
    'answers 508, and is not held to be down',
    async (stage) => {
      const [mirror] = await circle(stage, 1);
      const blob = randomBlob(1000);
      const paths = [blobPath(blob), manifestPath('latest'), manifestPath(blob.digest), `/v2/docker.io/${ALPINE}/tags/list`];
      for (const path of [...paths, ...paths]) expect(await refusalOf(await mirror!.get(path))).toBe('508 UNAVAILABLE');
      expect((await mirror!.head(manifestPath('latest'))).status).toBe(508);
      expect((await mirror!.metrics()).sum('entrepot_upstream_up', { upstream: 'next' })).toBe(1);
    },
    own,
  );
});

for (const count of [2, 3]) {
  describe.concurrent(`${count} mirrors in a circle, asked at once`, () => {
    scenario(
      'do not wait for each other: where nobody has it each says so',
      async (stage) => {
        const mirrors = await circle(stage, count);
        const blob = randomBlob(1000);
        const paths = [blobPath(blob), manifestPath('latest'), `/v2/docker.io/${ALPINE}/tags/list`];
        const replies = await Promise.all(paths.flatMap((path) => mirrors.map((mirror) => mirror.get(path))));
        for (const reply of replies) expect(await refusalOf(reply)).toBe('508 UNAVAILABLE');
      },
      own,
    );

    scenario(
      'do not wait for each other: where another has it all get it, and from there on from one another',
      async (stage) => {
        const { upstream } = stage;
        const mirrors = await circle(stage, count, { hub: { url: upstream.url } });
        const image = upstream.image(ALPINE, 'latest', { layers: [300_000] });
        const [layer] = image.layers;
        const wanted = [manifestPath('latest'), blobPath(layer!)];
        const replies = await Promise.all(wanted.flatMap((path) => mirrors.map((mirror) => mirror.get(path))));
        const digests = await Promise.all(replies.map((reply) => reply.sha256()));
        expect(digests).toEqual([image.top.digest, layer!.digest].flatMap((digest) => times(count, () => digest)));
        const only = randomBlob(5000);
        const gone = upstream.blob(ALPINE, only);
        expect(await (await mirrors[1]!.get(blobPath(only))).sha256()).toBe(only.digest);
        gone.status(503);
        expect(await (await mirrors[0]!.get(blobPath(only))).sha256()).toBe(only.digest);
      },
      own,
    );
  });
}

describe.concurrent('mirrors that ask each other', () => {
  scenario(
    'say 404 where nobody else has it, and remember nothing that they found out for one another',
    async (stage) => {
      const { upstream } = stage;
      const [a, b] = await circle(stage, 2, { hub: { url: upstream.url } });
      upstream.image(ALPINE, 'other');
      expect(await refusalOf(await a!.get(manifestPath('new')))).toBe('404 MANIFEST_UNKNOWN');
      const asked = upstream.hits('manifest');
      expect(await refusalOf(await b!.get(manifestPath('new')))).toBe('404 MANIFEST_UNKNOWN');
      expect(upstream.hits('manifest')).toBeGreaterThan(asked);
    },
    own,
  );

  scenario('a forged signature spoils nobody else', async (stage) => {
    const { upstream, server } = stage;
    const near = await stage.start(chainTo({ far: { url: server.url, path: 'docker.io' } }), 'near');
    const blob = randomBlob(300_000);
    upstream.blob(ALPINE, blob).delay(200);
    await server.head(blobPath(blob));
    const [name] = signature(upstream, 'HEAD');
    const forged = near.get(blobPath(blob), { headers: { via: name! } });
    const honest = times(3, () => near.get(blobPath(blob)));
    expect((await forged).status).toBe(508);
    for (const reply of await Promise.all(honest)) expect(await reply.sha256()).toBe(blob.digest);
  });
});
