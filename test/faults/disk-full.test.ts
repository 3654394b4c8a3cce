import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { randomBlob } from '../fakes/images.ts';
import { table, until } from '../scenarios/acceptance.ts';
import { scenario, times, type Stage } from '../scenarios/harness.ts';
import { ALPINE, manifestPath } from '../scenarios/paths.ts';
import { startProcess, type RunningProcess } from '../scenarios/process.ts';
import { baseSettings, routesTo } from '../scenarios/settings.ts';
import { cachedAgain, condition, DEGRADED, pull, WELL } from './pulled-on.ts';

const MIB = 1024 * 1024;

/** Why no disk of a test's own can be had here. */
const whyNot = await whyNoMount();
const own = { settings: null, timeoutMs: 60_000, ...(whyNot === undefined ? {} : { whyNot }) };

async function whyNoMount(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'mounting a disk needs root';
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-mount-'));
  try {
    mount(directory, 'size=64k');
    execFileSync('umount', [directory]);
    return undefined;
  } catch (error) {
    return `mounting a disk is not allowed here: ${(error as Error).message.split('\n')[0]}`;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function mount(directory: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', directory], { stdio: 'pipe' });
}

interface OnDisk {
  readonly server: RunningProcess;
  readonly root: string;
}

/** The program, with a disk of its own of that size under its `rootdirectory`; its configuration lies elsewhere. */
async function startOn(stage: Stage, options: string): Promise<OnDisk> {
  const root = join(stage.directory, 'disk');
  await mkdir(root, { recursive: true });
  mount(root, options);
  stage.defer(() => execFileSync('umount', ['--lazy', root]));
  const server = await startProcess(baseSettings(root, routesTo(stage.upstream)), stage.directory);
  stage.defer(() => server.stop());
  return { server, root };
}

describe.concurrent('[P79] a disk that takes no more', () => {
  scenario(
    '[R35] full in the middle of a pull: every pull is whole, uncached; with space again it is cached again',
    async (stage) => {
      const { server, root } = await startOn(stage, 'size=24m');
      const [held, tooLarge, another, later] = [5, 40, 30, 6].map((size, at) => randomBlob(size * MIB, at + 1));
      const image = stage.upstream.image(ALPINE, '3');
      for (const blob of [held!, tooLarge!, another!, later!]) stage.upstream.blob(ALPINE, blob);
      await pull(server, held!);
      await server.settled();
      expect(await condition(server)).toMatch(WELL);

      // Three at once, from the first byte of what the disk cannot hold.
      expect(await Promise.all(times(3, () => pull(server, tooLarge!)))).toHaveLength(3);
      await server.settled();
      // What was given up takes no room.
      expect(await readdir(join(root, 'entrepot', 'parts'))).toEqual([]);
      expect(await pull(server, held!)).toContain('; hit');

      // Something else fills the disk to the brim.
      await fillUp(root);
      const status = await pull(server, another!);
      // And again, what was evicted for the sake of that one.
      await fillUp(root, 'filler-2');
      await pull(server, another!);
      expect((await server.logged('disk full'))['level']).toBe('error');
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      const during = await until(
        () => condition(server),
        (seen) => DEGRADED.test(seen),
      );
      expect((await server.metrics()).sum('entrepot_bypass_total', { reason: 'storage' })).toBeGreaterThan(0);
      expect(server.records.filter(({ msg }) => msg === 'disk full').length).toBeLessThanOrEqual(2);
      const fullBefore = server.records.filter(({ msg }) => msg === 'disk full').length;
      await pull(server, tooLarge!);
      expect(server.records.filter(({ msg }) => msg === 'disk full')).toHaveLength(fullBefore);

      for (const name of ['filler', 'filler-2']) await rm(join(root, name));
      await until(
        () => condition(server),
        (seen) => WELL.test(seen),
        20_000,
      );
      await server.logged('disk ok');
      await cachedAgain(server, later!);
      table('a disk of 24 MiB', {
        'pulled, of 40 MiB': '4 times, whole',
        'Cache-Status of what came while it was full': status,
        'readiness, entrepot_degraded while full': during,
        'said in the log': server.records
          .filter(({ msg }) => msg === 'disk full' || msg === 'disk ok')
          .map(({ msg }) => msg)
          .join(', '),
      });
    },
    own,
  );

  scenario(
    '[R35] full before the first byte: the pull says that it bypasses the cache',
    async (stage) => {
      const { server, root } = await startOn(stage, 'size=16m');
      const [first, second] = [randomBlob(2 * MIB, 1), randomBlob(3 * MIB, 2)];
      for (const blob of [first, second]) stage.upstream.blob(ALPINE, blob);
      await fillUp(root);
      await pull(server, first);
      await server.settled();
      // What is known to be full is not tried for each pull again.
      expect(await pull(server, second)).toMatch(/fwd=bypass/);
      expect(stage.upstream.hits(`GET ${second.digest}`)).toBe(1);
    },
    own,
  );

  scenario(
    '[R36] no inode left: every pull is whole, uncached, and cached again later',
    async (stage) => {
      const { server, root } = await startOn(stage, 'size=64m,nr_inodes=60');
      const fillers = await useInodes(root);
      const [first, second] = [randomBlob(2 * MIB, 1), randomBlob(200_000, 2)];
      const image = stage.upstream.image(ALPINE, '3');
      for (const blob of [first, second]) stage.upstream.blob(ALPINE, blob);
      await pull(server, first);
      await pull(server, second);
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      await until(
        () => condition(server),
        (seen) => DEGRADED.test(seen),
      );
      await server.logged('disk full');
      await Promise.all(fillers.map((name) => rm(name)));
      await until(
        () => condition(server),
        (seen) => WELL.test(seen),
        20_000,
      );
      await cachedAgain(server, first);
    },
    own,
  );

  scenario(
    '[R38] read-only: every pull is whole, what was held is a hit, and it is cached again later',
    async (stage) => {
      const { server, root } = await startOn(stage, 'size=64m');
      const [held, cold, later] = [randomBlob(MIB, 1), randomBlob(2 * MIB, 2), randomBlob(MIB, 3)];
      const image = stage.upstream.image(ALPINE, '3');
      for (const blob of [held, cold, later]) stage.upstream.blob(ALPINE, blob);
      await pull(server, held);
      await server.settled();
      // The embedded store keeps its file open for writing, which a plain remount refuses; a bind of the same place does not.
      readOnly(root, stage);
      await pull(server, cold);
      expect(await (await server.get(manifestPath('3'))).sha256()).toBe(image.top.digest);
      expect(await pull(server, held)).toContain('; hit');
      await until(
        () => condition(server),
        (seen) => DEGRADED.test(seen),
      );
      writable(root);
      await until(
        () => condition(server),
        (seen) => WELL.test(seen),
        20_000,
      );
      await cachedAgain(server, later);
    },
    own,
  );
});

async function fillUp(root: string, name = 'filler'): Promise<void> {
  await writeFile(join(root, name), Buffer.alloc(64 * MIB)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOSPC') throw error;
  });
}

async function useInodes(root: string): Promise<string[]> {
  const made: string[] = [];
  for (let at = 0; at < 1000; at++) {
    const name = join(root, `filler-${at}`);
    try {
      await writeFile(name, '');
      made.push(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return made;
      throw error;
    }
  }
  throw new Error('there is no end of inodes');
}

function readOnly(root: string, stage: Stage): void {
  const blobs = join(root, 'entrepot');
  execFileSync('mount', ['--bind', blobs, blobs]);
  stage.defer(() => execFileSync('umount', ['--lazy', blobs]));
  execFileSync('mount', ['-o', 'remount,ro,bind', blobs]);
}

function writable(root: string): void {
  execFileSync('mount', ['-o', 'remount,rw,bind', join(root, 'entrepot')]);
}
