import { digestOf } from '../../src/oci/digest.ts';
import { describe, expect } from 'vitest';
import { randomBlob, type Blob } from '../fakes/images.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { mib, sized, table, until } from '../scenarios/acceptance.ts';
import { scenario, times, type Stage } from '../scenarios/harness.ts';
import { ALPINE, blobPath, manifestPath } from '../scenarios/paths.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { held, IDLE_MAX, MEASURED, settledTo, type Held } from '../scenarios/resources.ts';
import { routesTo } from '../scenarios/settings.ts';

const MIB = 1024 * 1024;
const COUNT = sized(300, 10_000);
const AT_ONCE = 20;
const own = { settings: null, timeoutMs: sized(60_000, 900_000) };

/** At the small size the heap is still growing into its working set; at the whole one there is no such excuse. */
const GROWTH_MAX = sized(40 * MIB, 16 * MIB);

/** Runs `each` so often, a few at a time. */
async function often(count: number, each: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const runs = times(AT_ONCE, async () => {
    while (next < count) await each(next++);
  });
  await Promise.all(runs);
}

/** Leaves in the middle of the body. */
async function leave(server: RunningProcess, path: string): Promise<void> {
  const reply = await server.get(path);
  await reply.next();
  reply.abort();
}

async function compare(
  stage: Stage,
  server: RunningProcess,
  what: string,
  round: (count: number) => Promise<void>,
): Promise<void> {
  await round(Math.ceil(COUNT / 4));
  const before = await held(server, stage.upstream);
  await round(COUNT);
  const after = await settledTo(server, stage.upstream, before);
  show(`${COUNT} ${what}`, before, after);
  expect(after.memory - before.memory).toBeLessThan(GROWTH_MAX);
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + IDLE_MAX + 4);
}

function show(title: string, before: Held, after: Held): void {
  table(title, {
    memory: `${mib(before.memory)} -> ${mib(after.memory)}`,
    descriptors: `${before.descriptors} -> ${after.descriptors}`,
    sockets: `${before.sockets} -> ${after.sockets}`,
    files: `${before.files} -> ${after.files}`,
    'upstream connections': `${before.upstream} -> ${after.upstream}`,
  });
}

/** Blobs that are asked for under a digest which their bytes do not have: what is fetched of them is never kept. */
function wrongBlobs(upstream: ScriptedUpstream, count: number, bytes: Buffer, name: string): Blob[] {
  return times(count, (at) => {
    const blob = { digest: digestOf(Buffer.from(`${name}-${at}`)), size: bytes.length, bytes };
    upstream.blob(ALPINE, blob);
    return blob;
  });
}

describe('what comes and goes leaves nothing behind', () => {
  scenario(
    '[R54] HEADs, of what is held and of what is not',
    async (stage) => {
      const image = stage.upstream.image(ALPINE, '3', { layers: [2 * MIB] });
      const server = await stage.startProcess(routesTo(stage.upstream), MEASURED);
      const cold = randomBlob(MIB, 9);
      stage.upstream.blob(ALPINE, cold);
      await (await server.get(blobPath(image.layers[0]!))).bytes();
      await (await server.get(manifestPath('3'))).bytes();
      const paths = [blobPath(image.layers[0]!), manifestPath('3'), manifestPath(image.top.digest), blobPath(cold)];
      await compare(stage, server, 'HEADs', (count) =>
        often(count, async (at) => {
          const reply = await server.head(paths[at % paths.length]!);
          expect(reply.status).toBe(200);
          await reply.bytes();
        }),
      );
      expect(stage.upstream.hits(`GET ${cold.digest}`)).toBe(0);
    },
    own,
  );

  scenario(
    '[R54] GETs of a held blob whose client leaves',
    async (stage) => {
      const blob = randomBlob(8 * MIB);
      stage.upstream.blob(ALPINE, blob);
      const server = await stage.startProcess(routesTo(stage.upstream), MEASURED);
      await (await server.get(blobPath(blob))).bytes();
      await server.settled();
      await compare(stage, server, 'aborted GETs', (count) => often(count, () => leave(server, blobPath(blob))));
      expect(stage.upstream.hits('GET blob')).toBe(1);
      expect(await (await server.get(blobPath(blob))).sha256()).toBe(blob.digest);
    },
    own,
  );

  scenario(
    '[R16] fills whose client leaves',
    async (stage) => {
      const { upstream } = stage;
      const bytes = randomBlob(400_000).bytes;
      let rounds = 0;
      const server = await stage.startProcess(routesTo(upstream), MEASURED);
      await compare(stage, server, 'aborted fills', async (count) => {
        const blobs = wrongBlobs(upstream, count, bytes, `round-${rounds++}`);
        await often(count, (at) => leave(server, blobPath(blobs[at]!)));
      });
      // Whoever is left of them can be parked, but not forgotten: what a fill holds on disk is bounded too.
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_fills_running')).toBe(0);
      expect(metrics.sum('entrepot_fill_followers')).toBe(0);
      const right = randomBlob(500_000, 5);
      upstream.blob(ALPINE, right);
      expect(await (await server.get(blobPath(right))).sha256()).toBe(right.digest);
    },
    own,
  );

  scenario(
    '[R53] one connection of 400 pipelined GETs whose reader stops',
    async (stage) => {
      const blob = randomBlob(sized(16, 64) * MIB);
      stage.upstream.blob(ALPINE, blob);
      const server = await stage.startProcess(routesTo(stage.upstream), MEASURED);
      await (await server.get(blobPath(blob))).bytes();
      const before = await held(server, stage.upstream);
      const raw = await server.raw();
      raw.socket.pause();
      raw.write(`GET ${blobPath(blob)} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(400));
      // Another client is served meanwhile, and all that the stopped one will ever be given has been given.
      await (await server.get(blobPath(blob))).bytes();
      const during = await held(server, stage.upstream);
      raw.close();
      const after = await settledTo(server, stage.upstream, before);
      show('400 pipelined GETs, their reader stopped: while it stands', before, during);
      show('400 pipelined GETs, their reader stopped: afterwards', before, after);
      expect(during.memory - before.memory).toBeLessThan(30 * MIB);
      expect(during.descriptors).toBeLessThanOrEqual(before.descriptors + 6);
      expect(after.memory - before.memory).toBeLessThan(GROWTH_MAX);
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 4);
      await until(
        () => server.metrics(),
        (metrics) => metrics.sum('registry_http_in_flight_requests', { handler: 'blob' }) <= 0,
      );
    },
    own,
  );
});
