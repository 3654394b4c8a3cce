import { execFile } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { randomBlob, type Blob } from '../fakes/images.ts';
import { createSeededRandom } from '../fakes/seeded-random.ts';
import { seed, sized, table } from '../scenarios/acceptance.ts';
import { scenario, type Stage } from '../scenarios/harness.ts';
import { ALPINE, blobPath, fileOf, manifestPath } from '../scenarios/paths.ts';
import { PROGRAM, type RunningProcess } from '../scenarios/process.ts';
import { pushImage } from '../scenarios/push.ts';
import { routesTo } from '../scenarios/settings.ts';

const own = { settings: null, timeoutMs: sized(120_000, 300_000) };
const random = createSeededRandom(seed);

/** Of all sizes: verified before their first byte, or beside it. */
const SIZES = [30, 300, 40_000, 262_145, 1_500_000, 4_194_304, 4_194_305, 6_000_000];

function blobsOf(count: number): Blob[] {
  return Array.from({ length: count }, (_, at) => randomBlob(1 + SIZES[at % SIZES.length]!, 1000 + at));
}

async function flipBit(path: string, size: number): Promise<void> {
  const at = Math.floor(random.fraction() * size);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 1 << Math.floor(random.fraction() * 8);
  await file.write(byte, 0, 1, at);
  await file.close();
}

interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** The program with these arguments, beside the server that runs, or alone. */
function command(stage: Stage, ...args: readonly string[]): Promise<Ran> {
  const cwd = join(stage.directory, 'data');
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args, '--config', 'config.yml'], { cwd }, (error, out, err) => {
      resolve({ exit: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

async function pullAll(server: RunningProcess, blobs: readonly Blob[]): Promise<void> {
  for (const blob of blobs) {
    const reply = await server.get(blobPath(blob));
    expect([reply.status, await reply.sha256()]).toEqual([200, blob.digest]);
  }
  await server.settled();
}

describe('[R39] bits that flip on the disk', () => {
  const count = sized(8, 100);

  scenario(
    `scrub finds ${count} of ${count} and repairs them`,
    async (stage) => {
      const blobs = blobsOf(count);
      for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
      const image = stage.upstream.image(ALPINE, '3');
      const server = await stage.startProcess(routesTo(stage.upstream));
      await pullAll(server, blobs);
      await (await server.get(manifestPath('3'))).sha256();
      await server.settled();
      expect(await command(stage, 'scrub')).toMatchObject({ exit: 0 });
      const damaged = [...blobs, image.top];
      for (const blob of damaged) await flipBit(fileOf(stage, blob), blob.size);

      const looked = await command(stage, 'scrub');
      expect(looked.exit).toBe(1);
      expect(looked.out.match(/^damaged: /gm)).toHaveLength(count + 1);
      expect(looked.out).toContain('--repair fetches it again');
      expect(looked.err).toMatch(/^50 %: .* read$/m);

      const repaired = await command(stage, 'scrub', '--repair', '--json');
      const steps = repaired.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { kind: string; repaired?: boolean; damaged?: number; digest?: string });
      expect(steps.filter((step) => step.kind === 'damaged' && step.repaired === true)).toHaveLength(count + 1);
      expect(steps.at(-1)).toMatchObject({ kind: 'scrubbed', damaged: count + 1, repaired: count + 1 });
      expect(repaired.exit).toBe(0);
      for (const blob of damaged) expect(digestOf(await readFile(fileOf(stage, blob)))).toBe(blob.digest);

      const gets = stage.upstream.hits('GET blob');
      await pullAll(server, blobs);
      expect(stage.upstream.hits('GET blob')).toBe(gets);
      expect((await command(stage, 'scrub')).out).toMatch(/; 0 damaged, 0 repaired\n$/);
      expect(server.records.filter(({ msg }) => msg === 'quarantined')).toHaveLength(count + 1);
      const metrics = await server.metrics();
      expect(metrics.sum('entrepot_verify_failures_total', { upstream: 'disk' })).toBe(count + 1);
      expect(metrics.sum('entrepot_storage_blobs', { kind: 'quarantine' })).toBe(count + 1);
      expect(metrics.sum('entrepot_task_last_success_timestamp_seconds', { task: 'scrub' })).toBeGreaterThan(1e9);
      table(`a flipped bit in each of ${count} blobs and a manifest`, {
        'found by scrub': looked.out.match(/^damaged: /gm)?.length ?? 0,
        'repaired by scrub --repair': steps.at(-1)?.damaged ?? 0,
        'exit status without and with repairs': `${looked.exit}, ${repaired.exit}`,
      });
    },
    own,
  );

  scenario(
    `a pull that meets one before a scrub never ends with wrong bytes`,
    async (stage) => {
      const blobs = blobsOf(count);
      for (const blob of blobs) stage.upstream.blob(ALPINE, blob);
      const first = await stage.startProcess(routesTo(stage.upstream));
      await pullAll(first, blobs);
      const seen = { 'whole and right at once': 0, 'cut, then right': 0, 'whole and wrong': 0 };
      for (const [round, server] of [
        ['while it runs', first],
        ['after a restart', undefined],
      ] as const) {
        for (const blob of blobs) await flipBit(fileOf(stage, blob), blob.size);
        if (server === undefined) await first.stop();
        const asked = server ?? (await stage.startProcess(routesTo(stage.upstream)));
        for (const blob of blobs) {
          const got = await asked
            .get(blobPath(blob))
            .then((reply) => reply.sha256())
            .catch(() => 'cut');
          if (got === blob.digest) seen['whole and right at once'] += 1;
          else if (got !== 'cut') seen['whole and wrong'] += 1;
          else {
            const reply = await asked.get(blobPath(blob));
            expect([round, await reply.sha256()]).toEqual([round, blob.digest]);
            seen['cut, then right'] += 1;
          }
        }
        await asked.settled();
        for (const blob of blobs) expect(digestOf(await readFile(fileOf(stage, blob)))).toBe(blob.digest);
      }
      expect(seen['whole and wrong']).toBe(0);
      expect(seen['whole and right at once'] + seen['cut, then right']).toBe(2 * count);
      table(`pulls of ${count} blobs, of which each had a bit flipped, while it ran and after a restart`, seen);
    },
    own,
  );

  scenario(
    'where no server runs scrub asks the upstream by itself; what was pushed waits for the next push, which heals it',
    async (stage) => {
      const cached = randomBlob(5000, 1);
      stage.upstream.blob(ALPINE, cached);
      const settings = {
        ...routesTo(stage.upstream),
        routes: [
          { match: 'team.test/**', upstreams: ['hosted'] },
          ...(routesTo(stage.upstream) as { routes: object[] }).routes,
        ],
        names: { default: 'docker.io' },
      };
      const first = await stage.startProcess(settings);
      await pullAll(first, [cached]);
      const image = stage.upstream.image('other/app', '1', { layers: [700] });
      expect((await pushImage(first, '/v2/team.test/app', 'v1', image)).status).toBe(201);
      await first.stop();
      for (const blob of [cached, image.layers[0]!, image.top]) await flipBit(fileOf(stage, blob), blob.size);
      const { exit, out } = await command(stage, 'scrub', '--repair');
      expect(out).toMatch(new RegExp(`^repaired: .* of ${cached.digest} in docker.io/`, 'm'));
      for (const blob of [image.layers[0]!, image.top])
        expect(out).toMatch(new RegExp(`^damaged: .* of ${blob.digest} in team.test/app: .*; it was pushed here: push`, 'm'));
      expect(exit).toBe(1);
      const second = await stage.startProcess(settings);
      expect((await second.get('/v2/team.test/app/manifests/v1')).status).toBe(500);
      expect((await second.head(`/v2/team.test/app/blobs/${image.layers[0]!.digest}`)).status).toBe(404);
      expect((await pushImage(second, '/v2/team.test/app', 'v1', image)).status).toBe(201);
      expect(await (await second.get('/v2/team.test/app/manifests/v1')).sha256()).toBe(image.top.digest);
      const reply = await second.get(`/v2/team.test/app/blobs/${image.layers[0]!.digest}`);
      expect(await reply.sha256()).toBe(image.layers[0]!.digest);
      expect((await command(stage, 'scrub')).exit).toBe(0);
    },
    own,
  );
});
