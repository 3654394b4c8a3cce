import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import { scenario } from './harness.ts';
import { ALPINE, blobPath } from './paths.ts';
import { runClients, startBlobServer } from './programs.ts';
import { untilRecorded } from './records.ts';
import { routesTo } from './settings.ts';

const MIB = 1024 * 1024;
const own = { settings: null, timeoutMs: 120_000 };
/** What users start: other tests start it in fewer files. */
const SHIPPED = { shipped: true };

describe('the built program', () => {
  scenario(
    'fifty clients on one cold blob: one request upstream, every digest right, little memory',
    async (stage) => {
      const upstream = await startBlobServer(30 * MIB, 20_000_000);
      stage.defer(() => upstream.close());
      const server = await stage.startProcess(routesTo(upstream), SHIPPED);
      const path = `/v2/docker.io/${ALPINE}/blobs/${upstream.digest}`;
      await (await server.get('/v2/')).bytes();
      const before = await server.memory();
      let most = before;
      const sampling = setInterval(() => void server.memory().then((now) => (most = Math.max(most, now))), 100);
      const replies = await runClients(`${server.url}${path}`, 50);
      clearInterval(sampling);
      const seen = await upstream.seen();
      expect(seen.filter(({ method }) => method === 'GET')).toHaveLength(1);
      for (const reply of replies) expect([reply.status, reply.error, reply.digest]).toEqual([200, undefined, upstream.digest]);
      // How soon the first bytes come is measured by `npm run bench:herd`.
      expect(most - before).toBeLessThan(100 * MIB);
    },
    own,
  );

  scenario(
    '[P80] killed in mid-fill, it goes on from what was made durable',
    async (stage) => {
      const upstream = await startBlobServer(200 * MIB, 400 * MIB);
      stage.defer(() => upstream.close());
      const path = `/v2/docker.io/${ALPINE}/blobs/${upstream.digest}`;
      const first = await stage.startProcess(routesTo(upstream), SHIPPED);
      const reply = await first.get(path);
      for (let read = 0; read < 150 * MIB;) read += (await reply.next())!.length;
      await untilRecorded(stage, upstream.digest, 64 * MIB);
      expect(await first.kill('SIGKILL')).toBe('SIGKILL');
      expect((await reply.untilBroken()).broken).toBe(true);

      const second = await stage.startProcess(routesTo(upstream), SHIPPED);
      const whole = await second.get(path);
      expect(await whole.sha256()).toBe(upstream.digest);
      const ranges = (await upstream.seen()).filter(({ method }) => method === 'GET').map(({ range }) => range);
      expect(ranges[0]).toBeUndefined();
      expect(Number(/^bytes=(\d+)-$/.exec(ranges[1] ?? '')?.[1])).toBeGreaterThanOrEqual(64 * MIB);
    },
    own,
  );

  scenario(
    'SIGTERM in mid-fill ends it with 0, and the fill goes on later',
    async (stage) => {
      const blob = randomBlob(3 * MIB);
      const gate = createGate();
      stage.upstream
        .blob(ALPINE, blob)
        .holdAfter(2 * MIB, gate)
        .once();
      const first = await stage.startProcess(routesTo(stage.upstream), SHIPPED);
      const reply = await first.get(blobPath(blob));
      await gate.reached;
      await reply.next();
      reply.abort();
      expect(await first.kill('SIGTERM')).toBe(0);
      expect(first.stderr()).toBe('');
      gate.open();
      const second = await stage.startProcess(routesTo(stage.upstream), SHIPPED);
      expect(await (await second.get(blobPath(blob))).sha256()).toBe(blob.digest);
      expect(stage.upstream.seen('GET blob').at(-1)!.range?.from).toBeGreaterThan(0);
    },
    own,
  );

  scenario(
    'SIGUSR1, which log rotation may send, opens no debugger',
    async (stage) => {
      const server = await stage.startProcess(routesTo(stage.upstream), SHIPPED);
      const before = await server.descriptors();
      server.signal('SIGUSR1');
      // By the time that a reload is said, an earlier signal has been dealt with.
      server.signal('SIGHUP');
      await server.logged('reloaded');
      expect(await (await server.get('/v2/')).text()).toBe('{}');
      expect(server.stderr()).toBe('');
      expect((await server.descriptors()).sockets - before.sockets).toBeLessThanOrEqual(1);
    },
    own,
  );
});
