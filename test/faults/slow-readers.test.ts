import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { until } from '../scenarios/acceptance.ts';
import { scenario, times } from '../scenarios/harness.ts';
import { ALPINE, blobPath } from '../scenarios/paths.ts';
import { held, MEASURED, memoryHeld } from '../scenarios/resources.ts';
import { routesTo } from '../scenarios/settings.ts';

const MIB = 1024 * 1024;
const own = { settings: null, timeoutMs: 60_000 };
const STALL_MS = 1500;
const http = {
  addr: '127.0.0.1:0',
  debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } },
  stalltimeout: `${STALL_MS}ms`,
};

/** A client in a process of its own, which says when the first bytes are there. */
const CLIENT = `
  const { get } = await import('node:http');
  get(process.argv[1], (answer) => answer.on('data', () => process.stdout.write('.')).on('error', () => {}));
`;

describe('[R53] a client that takes nothing more', () => {
  scenario(
    'stops reading in the middle of a held blob: cut after the stall limit, and nothing of it is held',
    async (stage) => {
      const blob = randomBlob(32 * MIB);
      stage.upstream.blob(ALPINE, blob);
      const server = await stage.startProcess({ ...routesTo(stage.upstream), http }, MEASURED);
      await (await server.get(blobPath(blob))).bytes();
      const before = await held(server, stage.upstream);
      const raws = await Promise.all(Array.from({ length: 20 }, () => server.raw()));
      for (const raw of raws) {
        raw.socket.pause();
        raw.write(`GET ${blobPath(blob)} HTTP/1.1\r\nHost: x\r\n\r\n`);
      }
      await until(
        () => server.descriptors(),
        ({ sockets }) => sockets >= before.sockets + raws.length - 4,
      );
      await until(
        () => server.descriptors(),
        ({ sockets, files }) => sockets <= before.sockets + 4 && files <= before.files,
      );
      const after = await held(server, stage.upstream);
      expect(after.memory - before.memory).toBeLessThan(30 * MIB);
      for (const raw of raws) raw.close();
      const records = server.records.filter(({ msg, aborted }) => msg === 'request' && aborted === true);
      expect(records).toHaveLength(raws.length);
    },
    own,
  );

  scenario(
    '[R04] is stopped (kill -STOP) while it follows a fill: the fill completes, others are served, and it is cut',
    async (stage) => {
      const blob = randomBlob(32 * MIB, 2);
      stage.upstream.blob(ALPINE, blob).rate(40 * MIB);
      const server = await stage.startProcess({ ...routesTo(stage.upstream), http }, MEASURED);
      const idle = await held(server, stage.upstream);
      const client = spawn(process.execPath, ['--input-type=module', '-e', CLIENT, `${server.url}${blobPath(blob)}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(client, 'exit');
      stage.defer(async () => {
        client.kill('SIGKILL');
        await ended;
      });
      await once(client.stdout, 'data');
      client.kill('SIGSTOP');
      expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
      expect(stage.upstream.hits('GET blob')).toBe(1);
      await server.settled();
      // Its own connection ends although it will never read nor close.
      await until(
        async () => server.records.filter(({ msg, aborted }) => msg === 'request' && aborted === true).length,
        (count) => count === 1,
      );
      await until(
        () => server.descriptors(),
        ({ sockets, files }) => sockets <= idle.sockets + 6 && files <= idle.files + 1,
      );
    },
    own,
  );

  scenario(
    '[R55] [CVE-2026-2581] reads nothing more of a fill: the bytes wait on disk and not in memory',
    async (stage) => {
      const blobs = times(8, (at) => randomBlob(16 * MIB, 10 + at));
      for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
      const server = await stage.startProcess(
        { ...routesTo(stage.upstream), http: { ...http, stalltimeout: '60s' } },
        MEASURED,
      );
      const before = await held(server, stage.upstream);
      const raws = await Promise.all(times(3 * blobs.length, () => server.raw()));
      for (const [at, raw] of raws.entries()) {
        raw.socket.pause();
        raw.write(`GET ${blobPath(blobs[at % blobs.length]!)} HTTP/1.1\r\nHost: x\r\n\r\n`);
      }
      await until(
        async () => (await server.metrics()).sum('entrepot_upstream_bytes_total'),
        (bytes) => bytes === blobs.length * 16 * MIB,
      );
      expect(stage.upstream.hits('GET blob')).toBe(blobs.length);
      expect((await server.descriptors()).sockets).toBeGreaterThanOrEqual(before.sockets + raws.length);
      // What the fills themselves needed is given back over some collections.
      const grown = async (): Promise<number> => (await memoryHeld(server)) - before.memory;
      await until(grown, (bytes) => bytes < 96 * MIB, 20_000);
      for (const raw of raws) raw.close();
    },
    own,
  );

  scenario(
    'reads slowly but steadily: it is not cut, and gets all of it',
    async (stage) => {
      const blob = randomBlob(24 * MIB, 3);
      stage.upstream.blob(ALPINE, blob);
      const server = await stage.startProcess({ ...routesTo(stage.upstream), http }, MEASURED);
      const reply = await server.get(blobPath(blob));
      let bytes = 0;
      const started = performance.now();
      for (let piece = await reply.next(); piece !== undefined; piece = await reply.next()) {
        bytes += piece.length;
        // Longer in all than the stall limit, never so long at once: a kernel hands on room by the megabyte.
        if (performance.now() - started < 3 * STALL_MS) await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(bytes).toBe(blob.size);
      expect(performance.now() - started).toBeGreaterThan(2 * STALL_MS);
    },
    own,
  );
});
