import { describe, expect } from 'vitest';
import { randomBlob, type Blob } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { mib, seed, sized, table } from '../scenarios/acceptance.ts';
import { scenario, times, type Stage } from '../scenarios/harness.ts';
import { ALPINE, blobPath, manifestPath } from '../scenarios/paths.ts';
import type { RunningProcess } from '../scenarios/process.ts';
import { untilRecorded } from '../scenarios/records.ts';
import { routesTo } from '../scenarios/settings.ts';

const MIB = 1024 * 1024;
const own = { settings: null, timeoutMs: sized(120_000, 900_000) };
const KILLS = sized(4, 200);

/** What a blob's upstream is held at, and what of that a fill records soon (at 4 MiB, and at every doubling). */
const HELD_AT = 24 * MIB;
const RECORDED_AT_LEAST = 16 * MIB;

/** A fill of 40 MB whose client has read what its upstream sent so far; nothing more comes before the gate opens. */
async function startHeldFill(stage: Stage, server: RunningProcess, blob: Blob) {
  const gate = createGate();
  stage.defer(gate.open);
  stage.upstream.blob(ALPINE, blob).holdAfter(HELD_AT, gate).once();
  const reply = await server.get(blobPath(blob));
  for (let read = 0; read < HELD_AT;) read += (await reply.next())!.length;
  return reply;
}

describe('[P80] a process that ends in the middle of a fill', () => {
  const blob = randomBlob(40_000_000);

  scenario(
    'kill -9: the same pull goes on from the recorded prefix',
    async (stage) => {
      const first = await stage.startProcess(routesTo(stage.upstream));
      const reply = await startHeldFill(stage, first, blob);
      await untilRecorded(stage, blob.digest, RECORDED_AT_LEAST);
      expect(await first.kill('SIGKILL')).toBe('SIGKILL');
      expect((await reply.untilBroken()).broken).toBe(true);

      const second = await stage.startProcess(routesTo(stage.upstream));
      expect(await (await second.get(blobPath(blob))).sha256()).toBe(blob.digest);
      const ranges = stage.upstream.seen('GET blob').map(({ range }) => range);
      expect(ranges).toHaveLength(2);
      expect(ranges[0]).toBeUndefined();
      expect(ranges[1]!.from).toBeGreaterThanOrEqual(RECORDED_AT_LEAST);
      expect(ranges[1]!.from).toBeLessThanOrEqual(HELD_AT);
      // And it is kept: nobody asks for it a third time.
      await second.settled();
      expect(await (await second.get(blobPath(blob))).sha256()).toBe(blob.digest);
      expect(stage.upstream.hits('GET blob')).toBe(2);
      table('kill -9 in mid-fill', {
        blob: mib(blob.size),
        'written when it was killed': mib(HELD_AT),
        'the range that followed begins at': `${ranges[1]!.from} (${mib(ranges[1]!.from)})`,
      });
    },
    own,
  );

  scenario(
    'SIGTERM: exit 0, and the same pull goes on where it stopped',
    async (stage) => {
      const settings = { ...routesTo(stage.upstream) };
      const first = await stage.startProcess({ ...settings, http: httpWith({ draintimeout: '200ms' }) });
      const reply = await startHeldFill(stage, first, blob);
      expect(await first.kill('SIGTERM')).toBe(0);
      expect((await reply.untilBroken()).broken).toBe(true);
      expect(first.stderr()).toBe('');

      const second = await stage.startProcess(settings);
      expect(await (await second.get(blobPath(blob))).sha256()).toBe(blob.digest);
      const ranges = stage.upstream.seen('GET blob').map(({ range }) => range);
      expect(ranges).toEqual([undefined, { from: HELD_AT, to: undefined }]);
      table('SIGTERM in mid-fill', { 'exit code': 0, 'the range that followed begins at': ranges[1]!.from });
    },
    own,
  );

  scenario(
    `${KILLS} times kill -9 at any moment: what is served afterwards is right`,
    async (stage) => {
      const random = createSeededRandom(seed);
      const { upstream } = stage;
      upstream.all.rate(60_000_000).to('GET');
      const settings = routesTo(upstream);
      const images = times(4, (at) =>
        upstream.image(`library/image${at}`, '1', { layers: [3_000_000 + at, 700_000], label: `${at}` }),
      );
      const blobs = times(8, (at) => randomBlob(600_000 + at * at * 300_000, seed * 100 + at));
      for (const one of blobs) upstream.blob(ALPINE, one);
      let pulls = 0;
      let whole = 0;
      const pullSome = async (server: RunningProcess): Promise<void> => {
        const one = blobs[Math.floor(random.fraction() * blobs.length)]!;
        const at = Math.floor(random.fraction() * images.length);
        const image = images[at]!;
        const asked: (readonly [path: string, digest: string])[] = [
          [blobPath(one), one.digest],
          [manifestPath('1', `library/image${at}`), image.top.digest],
          ...image.layers.map((layer) => [blobPath(layer, `library/image${at}`), layer.digest] as const),
        ];
        await Promise.all(
          asked.map(async ([path, digest]) => {
            pulls += 1;
            // Cut or refused is what a kill does to a client; a whole answer with other bytes is what it must not do.
            const got = await server
              .get(path)
              .then((reply) => reply.sha256())
              .catch(() => undefined);
            if (got !== undefined) {
              whole += 1;
              expect(got).toBe(digest);
            }
          }),
        );
      };
      for (const kill of times(KILLS, (at) => at)) {
        const server = await stage.startProcess(settings);
        const pulling = Promise.all(times(3, () => pullSome(server)));
        await new Promise((resolve) => setTimeout(resolve, random.fraction() * sized(300, 900)));
        expect([kill, await server.kill('SIGKILL')]).toEqual([kill, 'SIGKILL']);
        await pulling;
      }
      upstream.all.clear();
      const last = await stage.startProcess(settings);
      for (const one of blobs) expect(await (await last.get(blobPath(one))).sha256()).toBe(one.digest);
      for (const [at, image] of images.entries()) {
        const repository = `library/image${at}`;
        expect(await (await last.get(manifestPath('1', repository))).sha256()).toBe(image.top.digest);
        for (const layer of image.layers)
          expect(await (await last.get(blobPath(layer, repository))).sha256()).toBe(layer.digest);
      }
      const ranges = upstream.seen('GET blob').filter(({ range }) => range !== undefined).length;
      table('kill loop', {
        kills: KILLS,
        pulls,
        'whole and right': whole,
        'cut by the kill': pulls - whole,
        'whole and wrong': 0,
        'transfers gone on with by Range': ranges,
      });
    },
    own,
  );
});

function httpWith(more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { addr: '127.0.0.1:0', debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } }, ...more };
}
