import { describe, expect } from 'vitest';
import type { Reply } from '../fakes/http-client.ts';
import type { Image } from '../fakes/images.ts';
import { createScriptedScanner, type ScriptedScanner } from '../fakes/scripted-scanner.ts';
import { scenario, times, type Stage } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import type { Running } from './running.ts';
import { routesTo } from './settings.ts';

const own = { settings: null };

/** Status, code and message of a refusal. */
async function refused(reply: Reply): Promise<readonly [string, string]> {
  const { errors } = await reply.json<{ errors: { code: string; message: string }[] }>();
  return [`${reply.status} ${errors[0]!.code}`, errors[0]!.message.replace(/ \(request [0-9a-f]+\)$/, '')];
}

async function scannerOf(stage: Stage): Promise<ScriptedScanner> {
  const scanner = await createScriptedScanner();
  stage.defer(() => scanner.close());
  return scanner;
}

/** As a client does; the statuses, in order. */
async function pullAll(server: Pick<Running, 'get'>, image: Image, reference: string): Promise<readonly number[]> {
  const manifests = image.index === undefined ? [] : image.manifests;
  const paths = [
    manifestPath(reference),
    ...manifests.map(({ digest }) => manifestPath(digest)),
    ...[...image.configs, ...image.layers].map((blob) => blobPath(blob)),
  ];
  const statuses: number[] = [];
  for (const path of paths) {
    const reply = await server.get(path);
    await reply.bytes();
    statuses.push(reply.status);
  }
  return statuses;
}

describe('digests', () => {
  scenario(
    'what is denied is served nowhere, by no name of it; all else is',
    async (stage) => {
      const { upstream } = stage;
      const bad = upstream.image(ALPINE, 'bad', { label: 'bad', layers: [1001] });
      const good = upstream.image(ALPINE, 'good', { label: 'good', layers: [1002] });
      const server = await stage.start(routesTo(upstream, { digests: { deny: [bad.top.digest, bad.layers[0]!.digest] } }));
      for (const reference of ['bad', bad.top.digest])
        expect(await refused(await server.get(manifestPath(reference)))).toEqual([
          '403 DENIED',
          `docker.io/${ALPINE}@${bad.top.digest}: refused by digests: it is on the list of what is never served (digests.deny)`,
        ]);
      expect((await server.head(manifestPath('bad'))).status).toBe(403);
      expect((await server.get(blobPath(bad.layers[0]!))).status).toBe(403);
      expect(upstream.hits('GET blob')).toBe(0);
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200]);
      expect((await server.metrics()).sum('entrepot_denied_total', { action: 'pull', reason: 'digests' })).toBe(4);
    },
    own,
  );

  scenario(
    'only what is allowed is served, and what it names: of an index its children and their layers',
    async (stage) => {
      const { upstream } = stage;
      const good = upstream.image(ALPINE, 'good', { layers: [1001], platforms: ['linux/amd64', 'linux/arm64'] });
      const other = upstream.image(ALPINE, 'other', { label: 'other', layers: [1002] });
      const server = await stage.start(routesTo(upstream, { digests: { allow: good.top.digest } }));
      expect((await server.get(blobPath(good.layers[0]!))).status).toBe(403);
      expect((await server.get(manifestPath(good.manifests[0]!.digest))).status).toBe(403);
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200, 200, 200, 200]);
      expect(await pullAll(server, other, 'other')).toEqual([403, 403, 403]);
      await upstream.down();
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200, 200, 200, 200]);
      expect(await pullAll(server, other, 'other')).toEqual([403, 403, 403]);
    },
    own,
  );
});

describe('admit', () => {
  scenario(
    'a scanner is asked once for each manifest, however many ask, and its verdict outlives a restart',
    async (stage) => {
      const { upstream } = stage;
      const scanner = await scannerOf(stage);
      const good = upstream.image(ALPINE, 'good', { label: 'good', layers: [1001] });
      const bad = upstream.image(ALPINE, 'bad', { label: 'bad', layers: [1002] });
      scanner.answers(({ digest }) =>
        digest === bad.top.digest ? { allow: false, reason: 'CVE-2026-1 in\u0007 openssl' } : { allow: true },
      );
      const settings = routesTo(upstream, { admit: { url: scanner.url } });
      const server = await stage.start(settings);
      const replies = await Promise.all(times(10, () => server.get(manifestPath('good'))));
      expect(replies.map(({ status }) => status)).toEqual(times(10, () => 200));
      expect(await pullAll(server, good, 'good')).toEqual([200, 200, 200]);
      expect(await pullAll(server, bad, 'bad')).toEqual([403, 403, 403]);
      const [status, message] = await refused(await server.get(manifestPath('bad')));
      expect([status, message]).toEqual([
        '403 DENIED',
        `docker.io/${ALPINE}@${bad.top.digest}: refused by admit: CVE-2026-1 in openssl`,
      ]);
      expect(scanner.asked.map(({ digest }) => digest)).toEqual([good.top.digest, bad.top.digest]);
      await server.stop();
      await scanner.down();
      await upstream.down();
      const again = await stage.start(settings);
      expect(await pullAll(again, good, 'good')).toEqual([200, 200, 200]);
      expect(await pullAll(again, bad, 'bad')).toEqual([403, 403, 403]);
    },
    own,
  );
});
