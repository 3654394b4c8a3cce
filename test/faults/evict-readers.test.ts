import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Blob } from '../fakes/images.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { seed, sized, table } from '../scenarios/acceptance.ts';
import { times } from '../scenarios/harness.ts';
import { startProcess, type RunningProcess } from '../scenarios/process.ts';
import { baseSettings, routesTo } from '../scenarios/settings.ts';
import { openRecords } from '../scenarios/records.ts';
import { countedTooMuch, faultsOfRemains, readRemains, sum } from './after-a-kill.ts';
import { startMixedUpstream } from './mixed-images.ts';

const READERS = 200;
const MAX_BYTES = 16 * 1024 * 1024;
const LASTS_MS = sized(2_000, 120_000);
const CLOCK = fileURLToPath(new URL('fast-clock.mjs', import.meta.url));
/** What was used 5 s ago may go after 12 ms. */
const SPEED = 400;

test(
  `[R29] [R32] evictions under ${READERS} readers who break off and go on by Range: no pull fails`,
  async () => {
    const home = mkdtempSync(join(tmpdir(), 'entrepot-evict-readers-'));
    const upstream = await startMixedUpstream(join(home, 'upstream'), 36, seed);
    const directory = join(home, 'data');
    const settings = {
      ...baseSettings(directory, routesTo(upstream)),
      log: { accesslog: { disabled: true } },
      cache: { maxsize: `${MAX_BYTES}B`, keepfree: '0%' },
    };
    const env = { FAST_CLOCK: String(SPEED), FAST_CLOCK_SINCE: String(Date.now()) };
    const server = await startProcess(settings, home, { env, execArgv: ['--import', CLOCK] });
    const random = createSeededRandom(seed);
    const blobs = [...upstream.content.values()].filter(({ kind }) => kind === 'blobs');
    const end = performance.now() + LASTS_MS;
    const counts = { 'whole reads': 0, requests: 0 };
    const faults: string[] = [];

    /** A blob in as many requests as it takes, each of which is left after a while. */
    async function readWhole(repository: string, blob: Blob): Promise<void> {
      const path = `/v2/docker.io/${repository}/blobs/${blob.digest}`;
      const pieces: Buffer[] = [];
      for (let at = 0; at < blob.size;) {
        const upTo = random.fraction() < 0.5 ? blob.size : at + random.fraction() * blob.size;
        counts.requests += 1;
        const reply = await server.get(path, at === 0 ? {} : { headers: { range: `bytes=${at}-` } });
        if (reply.status !== (at === 0 ? 200 : 206)) throw new Error(`${reply.status}: ${await reply.text()}`);
        for (let piece = await reply.next(); piece !== undefined; piece = await reply.next()) {
          pieces.push(piece);
          at += piece.length;
          if (at >= upTo) break;
        }
        reply.abort();
        if (at < blob.size) await new Promise((resolve) => setTimeout(resolve, random.fraction() * 50));
      }
      if (!Buffer.concat(pieces).equals(blob.bytes)) throw new Error('other bytes');
      counts['whole reads'] += 1;
    }
    const reader = async (): Promise<void> => {
      while (performance.now() < end && faults.length < 20) {
        const { repository, blob } = blobs[Math.floor(random.fraction() * blobs.length)]!;
        await readWhole(repository, blob).catch((error: unknown) => faults.push(`${blob.digest}: ${String(error)}`));
      }
    };
    try {
      await Promise.all(times(READERS, reader));
      const evicted = evictedBy(server);
      expect(faults).toEqual([]);
      expect(evicted).toBeGreaterThan(0);
      expect(await server.kill('SIGTERM')).toBe(0);
      const records = await openRecords(directory);
      const remains = await readRemains(directory, records, Infinity);
      await records.close();
      expect(faultsOfRemains(remains, MAX_BYTES, () => false)).toEqual([]);
      table('evictions under readers', {
        readers: READERS,
        ...counts,
        evicted,
        'failed reads': faults.length,
        'counted at the end, bytes': remains.usage.bytes - sum(countedTooMuch(remains).map(({ size }) => size)),
        'files at the end, bytes': sum([...remains.files.values()]),
      });
    } finally {
      await server.stop();
      await upstream.stop();
      rmSync(home, { recursive: true, force: true });
    }
  },
  sized(90_000, 600_000),
);

function evictedBy({ records }: RunningProcess): number {
  return sum(records.flatMap(({ msg, blobs }) => (msg === 'evicting' ? Number(blobs) : [])));
}
