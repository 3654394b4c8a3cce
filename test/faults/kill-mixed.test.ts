import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { remoteAdmin } from '../../src/commands/remote-admin.ts';
import type { Records } from '../../src/metadata/records.ts';
import { randomBlob } from '../fakes/images.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { full, mib, seed, sized, table, until } from '../scenarios/acceptance.ts';
import { times } from '../scenarios/harness.ts';
import { startProcess, type RunningProcess } from '../scenarios/process.ts';
import { baseSettings } from '../scenarios/settings.ts';
import { openRecords } from '../scenarios/records.ts';
import { countedTooMuch, faultsOfRemains, readRemains, sum, type Remains } from './after-a-kill.ts';
import { startMixedUpstream, TAG, type MixedUpstream } from './mixed-images.ts';
import { createMixedLoad, WORK } from './mixed-load.ts';

const KILLS = Number(process.env['ENTREPOT_KILLS'] ?? sized(3, 1_000));
const MAX_BYTES = 16 * 1024 * 1024;
/** With all their layers more than twice the cache. */
const IMAGES = 36;
/** Of the wall clock: what was used 5 s ago may go after 25 ms, and an hour's grace passes in 18 s. */
const SPEED = 200;
const CLOCK = fileURLToPath(new URL('fast-clock.mjs', import.meta.url));
/** Pieces of work that a server does at most before it is killed, and how long the instant is off from the end of one. */
const PIECES = 24;
const OFF_MS = 40;
/** So shortly before a kill a file may have taken its name for its count to be missing. */
const FRESH_MS = 500;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;

test(
  `[R07] ${KILLS} times kill -9 under mixed load: nothing wrong, nothing short, nothing acknowledged lost`,
  async () => {
    const random = createSeededRandom(seed);
    const home = mkdtempSync(join(tmpdir(), 'entrepot-kill-mixed-'));
    const directory = join(home, 'data');
    const upstream = await startMixedUpstream(join(home, 'upstream'), IMAGES, seed);
    const load = createMixedLoad(
      upstream,
      times(30, (at) => randomBlob(5_000 + at * 2_000, seed * 1000 + at)),
      random,
    );
    const since = Date.now();
    const start = (): Promise<RunningProcess> =>
      startProcess(settingsOf(directory, upstream), home, {
        env: { FAST_CLOCK: String(SPEED), FAST_CLOCK_SINCE: String(since) },
        execArgv: ['--import', CLOCK],
      });
    const admin = remoteAdmin(join(directory, 'entrepot.sock'));
    const commands = {
      collect: () => drained(admin.collect({ dryRun: false, deleteUntagged: random.fraction() < 0.5 })),
      scrub: () => drained(admin.scrub({ repair: true })),
    };
    const killedIn: Record<string, number> = {};
    const readyMs: number[] = [];
    let evicted = 0;
    let wrong = 0;
    const lost: string[] = [];
    const faults = (): readonly string[] => [...load.faults, ...lost];
    let server: RunningProcess | undefined;
    let records: Records | undefined;

    try {
      for (let kill = 0; kill <= KILLS; kill += 1) {
        const began = performance.now();
        server = await start();
        expect((await server.get('/v2/')).status).toBe(200);
        readyMs.push(performance.now() - began);
        if (records !== undefined) {
          const remains = await cachedAfterStart(records);
          const cached = remains.filter((digest) => !load.mayBePushed(digest) || upstream.content.has(digest));
          lost.push(...(await load.check(server)), ...(await faultsOfCached(server, upstream, cached)));
          await records.close();
          records = undefined;
        }
        if (kill === KILLS) break;
        const { worked, end, ended } = load.begin(server, commands);
        // The first fills the cache; some are killed within what a start does, most in the middle of everything.
        if (kill === 0) await worked(4 * PIECES);
        else if (random.fraction() > 0.15) await worked(random.fraction() * PIECES);
        await new Promise((resolve) => setTimeout(resolve, random.fraction() * OFF_MS));
        const busy = load.running();
        end();
        const killedAt = Date.now();
        expect(await server.kill('SIGKILL')).toBe('SIGKILL');
        await ended;
        evicted += sum(server.records.flatMap(({ msg, blobs }) => (msg === 'evicting' ? Number(blobs) : [])));

        records = await openRecords(directory);
        const remains = await readRemains(directory, records, killedAt - FRESH_MS);
        lost.push(...faultsOfRemains(remains, MAX_BYTES, load.mayBePushed));
        wrong += remains.wrong.length;
        for (const phase of [...busy, ...phasesOf(remains)]) killedIn[phase] = (killedIn[phase] ?? 0) + 1;
        if (faults().length > 0) throw new Error(`kill ${kill + 1}:\n${faults().slice(0, 20).join('\n')}`);
        if (full && (kill + 1) % 50 === 0)
          process.stdout.write(
            `${kill + 1} kills, evicted ${evicted}, ${JSON.stringify({ killedIn, ...load.counts, medianMs: Math.round(quantile(readyMs, 0.5)) })}\n`,
          );
      }
      expect(faults()).toEqual([]);
      const left = await atTheEnd(server!);
      table(`kill -9 under mixed load, seed ${seed}`, {
        kills: KILLS,
        ...Object.fromEntries([...WORK, ...PHASES].map((phase) => [`killed in: ${phase}`, killedIn[phase] ?? 0])),
        ...load.counts,
        'evicted (told in the log)': evicted,
        'objects wrong': wrong + (load.counts['wrong'] ?? 0),
        'objects short': load.counts['short'] ?? 0,
        'acknowledged writes lost': lost.length,
        'restart to ready, median ms': Math.round(quantile(readyMs, 0.5)),
        'restart to ready, max ms': Math.round(quantile(readyMs, 1)),
        ...left,
      });
      await rm(home, { recursive: true, force: true });
    } catch (error) {
      process.stdout.write(`seed ${seed}, the directory is ${home}\n`);
      throw error;
    } finally {
      await server?.kill('SIGKILL').catch(() => undefined);
      await upstream.stop();
    }

    /** A round of scrub brings disk and records into line, but for what is younger than an hour. */
    async function atTheEnd(running: RunningProcess): Promise<Record<string, string | number>> {
      await running.settled();
      if (full) await new Promise((resolve) => setTimeout(resolve, (1.1 * HOUR_MS) / SPEED));
      await commands.scrub();
      const opened = await openRecords(directory);
      try {
        const remains = await readRemains(directory, opened, Infinity);
        expect(faultsOfRemains(remains, MAX_BYTES, full ? () => false : load.mayBePushed)).toEqual([]);
        const now = since + (Date.now() - since) * SPEED;
        const old = remains.parts.filter(({ modified, upload }) => !upload && now - modified > 2 * DAY_MS);
        expect(old).toEqual([]);
        expect(full ? countedTooMuch(remains) : []).toEqual([]);
        return {
          'cache at the end': mib(remains.usage.bytes),
          'its files at the end': mib(
            sum([...remains.files].map(([digest, size]) => (remains.entries.has(digest) ? size : 0))),
          ),
          'reserved at the end': remains.usage.reserved,
          'parts at the end': remains.parts.length,
        };
      } finally {
        await opened.close();
      }
    }
  },
  full ? 2 * HOUR_MS : 180_000,
);

/** What the disk says that was under way. */
const PHASES = ['a fill was written', 'an eviction was half done', 'an upload was under way', 'the count was too high'];

function phasesOf(remains: Remains): string[] {
  const was = [
    remains.parts.some(({ id, upload }) => !upload && remains.aside.has(id)),
    remains.going.length > 0,
    remains.parts.some(({ upload }) => upload),
    countedTooMuch(remains).length > 0,
  ];
  return PHASES.filter((_, at) => was[at]);
}

/** What a start has to end is ended without a request; yields what is cached then. */
async function cachedAfterStart(records: Records): Promise<readonly string[]> {
  await until(
    async () => records.inventory.going(undefined, 10),
    (going) => going.length === 0,
    5_000,
  );
  return (await records.inventory.oldest(undefined, 100_000)).map(({ digest }) => digest);
}

/** Everything that the cache had, and its tags, asked for by their names. */
async function faultsOfCached(server: RunningProcess, upstream: MixedUpstream, cached: readonly string[]): Promise<string[]> {
  const faults: string[] = [];
  const asked = cached.map(async (digest) => {
    const known = upstream.content.get(digest);
    if (known === undefined) return faults.push(`${digest} is cached, and nobody's`);
    const reply = await server.get(`/v2/docker.io/${known.repository}/${known.kind}/${digest}`);
    const got = reply.status === 200 ? await reply.sha256() : `${reply.status} ${await reply.text()}`;
    return got === digest ? 0 : faults.push(`cached ${digest}: ${got}`);
  });
  await Promise.all(asked);
  const tags = upstream.images.map(async ({ repository, versions }) => {
    const reply = await server.head(`/v2/docker.io/${repository}/manifests/${TAG}`);
    const digest = reply.headers['docker-content-digest'];
    const right = reply.status === 200 && versions.some(({ manifest }) => manifest.digest === digest);
    return right ? 0 : faults.push(`${repository}:${TAG} is ${reply.status} ${String(digest)}`);
  });
  await Promise.all(tags);
  return faults;
}

function settingsOf(directory: string, upstream: MixedUpstream) {
  return {
    ...baseSettings(directory, {}),
    log: { accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: directory }, delete: { enabled: true } },
    cache: { maxsize: `${MAX_BYTES / 1024 / 1024}MiB`, keepfree: '0%' },
    names: { default: 'local' },
    upstreams: { hub: { url: upstream.url } },
    routes: [
      { match: 'local/**', name: 'own', upstreams: ['hosted'] },
      { match: 'docker.io/**', name: 'hub', upstreams: ['hub'] },
    ],
  };
}

async function drained(steps: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of steps);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}
