import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { describe, expect } from 'vitest';
import { buildImage, randomBlob } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import { scenario, times, type Stage } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import type { Running } from './running.ts';
import { authority, portOf, secure } from './secure.ts';

const own = { settings: null };

interface Answered {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly sha256: string;
  readonly bytes: number;
  /** NGHTTP2_NO_ERROR where it ended as it should. */
  readonly code: number;
}

function open(stage: Stage, server: Running): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${portOf(server)}`, { ca: authority.certificate });
  session.on('error', () => undefined);
  stage.defer(() => session.destroy());
  return session;
}

/** One stream from its beginning to its end. */
function ask(session: ClientHttp2Session, path: string, headers: OutgoingHttpHeaders = {}, body?: Buffer): Promise<Answered> {
  return new Promise((resolve) => {
    const hash = createHash('sha256');
    let [bytes, answered]: [number, Readonly<Record<string, unknown>>] = [0, {}];
    const stream = session.request({ ':path': path, ...headers }, { endStream: body === undefined });
    stream.on('response', (fields) => (answered = fields));
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      hash.update(chunk);
    });
    stream.on('error', () => undefined);
    stream.on('close', () =>
      resolve({
        status: answered[':status'] as number | undefined,
        headers: answered,
        sha256: `sha256:${hash.digest('hex')}`,
        bytes,
        code: stream.rstCode ?? 0,
      }),
    );
    if (body !== undefined) stream.end(body);
  });
}

describe('HTTP/2, by a real client', () => {
  scenario(
    'a push in pieces, a mount and a pull on one connection',
    async (stage) => {
      const more = {
        names: { default: 'registry.acme.test', self: ['registry.acme.test'] },
        routes: [{ match: 'registry.acme.test/**', name: 'own', upstreams: ['hosted'] }],
        upstreams: {},
      };
      const server = await stage.start(await secure(stage, {}, more));
      const session = open(stage, server);
      const app = buildImage({ layers: [700_000] });
      const [layer] = app.layers;
      const begun = await ask(session, '/v2/team/app/blobs/uploads/', { ':method': 'POST', 'content-length': '0' });
      expect(begun.status).toBe(202);
      let at = new URL(String(begun.headers['location']), server.url);
      for (const [from, to] of [
        [0, 300_000],
        [300_000, layer!.size],
      ] as const) {
        const fields = { ':method': 'PATCH', 'content-type': 'application/octet-stream', 'content-range': `${from}-${to - 1}` };
        const patched = await ask(session, at.pathname + at.search, fields, layer!.bytes.subarray(from, to));
        expect(patched.status).toBe(202);
        at = new URL(String(patched.headers['location']), server.url);
      }
      at.searchParams.set('digest', layer!.digest);
      expect((await ask(session, at.pathname + at.search, { ':method': 'PUT', 'content-length': '0' })).status).toBe(201);
      const config = `/v2/team/app/blobs/uploads/?digest=${app.config.digest}`;
      expect((await ask(session, config, { ':method': 'POST' }, app.config.bytes)).status).toBe(201);
      const fields = { ':method': 'PUT', 'content-type': app.top.mediaType };
      expect((await ask(session, '/v2/team/app/manifests/latest', fields, app.top.bytes)).status).toBe(201);
      const mount = `/v2/team/other/blobs/uploads/?mount=${layer!.digest}&from=team/app`;
      expect((await ask(session, mount, { ':method': 'POST', 'content-length': '0' })).status).toBe(201);
      const pulled = await Promise.all(
        ['/v2/team/app/manifests/latest', `/v2/team/app/blobs/${layer!.digest}`, `/v2/team/other/blobs/${layer!.digest}`].map(
          (path) => ask(session, path),
        ),
      );
      expect(pulled.map(({ sha256 }) => sha256)).toEqual([app.top.digest, layer!.digest, layer!.digest]);
      const part = await ask(session, `/v2/team/app/blobs/${layer!.digest}`, { range: 'bytes=100-199' });
      expect([part.status, part.bytes, part.code]).toEqual([206, 100, 0]);
    },
    own,
  );

  scenario(
    'a thousand streams of one client, each with its own bytes, and one upstream request for each blob',
    async (stage) => {
      const blobs = times(10, (at) => randomBlob(20_000 + at, 30 + at));
      for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
      const server = await stage.start(await secure(stage));
      const session = open(stage, server);
      const answers = await Promise.all(
        times(1000, async (at) => {
          const blob = blobs[at % blobs.length]!;
          const { sha256, code } = await ask(session, blobPath(blob));
          return sha256 === blob.digest && code === 0;
        }),
      );
      expect(answers.filter((isRight) => !isRight)).toEqual([]);
      expect(stage.upstream.hits('GET blob')).toBe(blobs.length);
    },
    own,
  );

  scenario(
    'what an upstream cuts for good is a reset, and less than was promised',
    async (stage) => {
      const layer = randomBlob(600_000, 9);
      stage.upstream.blob(ALPINE, layer).cutAfter(400_000, 'rst').ignoreRange();
      const server = await stage.start(await secure(stage));
      const { status, bytes, code } = await ask(open(stage, server), blobPath(layer));
      expect(status).toBe(200);
      expect(code).not.toBe(constants.NGHTTP2_NO_ERROR);
      expect(bytes).toBeLessThan(layer.size);
    },
    own,
  );

  scenario(
    'streams that are opened and reset without end cost their client its connection, and nobody else a pull',
    async (stage) => {
      const image = stage.upstream.image(ALPINE, '1', { layers: [100_000] });
      const server = await stage.start(await secure(stage));
      const other = open(stage, server);
      expect((await ask(other, manifestPath('1'))).sha256).toBe(image.top.digest);
      const flood = open(stage, server);
      await once(flood, 'connect');
      const told = once(flood, 'goaway');
      let sent = 0;
      while (!flood.destroyed && !flood.closed && sent < 5000) {
        const streams = times(50, () => flood.request({ ':path': blobPath(image.layers[0]!) }).on('error', () => undefined));
        // One that is taken back before it has left is never seen by anybody.
        await new Promise((resolve) => setImmediate(resolve));
        for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
        sent += streams.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(sent).toBeLessThan(5000);
      expect((await told)[0]).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      expect((await ask(other, blobPath(image.layers[0]!))).sha256).toBe(image.layers[0]!.digest);
    },
    own,
  );

  scenario(
    'SIGTERM: the client is told to go, what runs ends whole, and nothing new begins on that connection',
    async (stage) => {
      const gate = createGate();
      const layer = randomBlob(500_000, 7);
      stage.upstream.blob(ALPINE, layer).holdAfter(200_000, gate);
      const server = await stage.startProcess(await secure(stage));
      const session = open(stage, server);
      const goaway = once(session, 'goaway');
      const running = ask(session, blobPath(layer));
      await gate.reached;
      server.signal('SIGTERM');
      const [code] = (await goaway) as [number];
      expect(code).toBe(constants.NGHTTP2_NO_ERROR);
      expect(session.closed || session.destroyed).toBe(true);
      expect(() => session.request({ ':path': '/v2/' })).toThrow(/GOAWAY|closed|destroyed/i);
      gate.open();
      expect(await running).toMatchObject({ status: 200, sha256: layer.digest, code: 0 });
      await server.stop();
    },
    own,
  );
});
