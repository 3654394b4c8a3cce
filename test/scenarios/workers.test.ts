import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { createHttpClient, type Reply } from '../fakes/http-client.ts';
import { randomBlob } from '../fakes/images.ts';
import { createGate } from '../fakes/scripted-behaviour.ts';
import { full, until } from './acceptance.ts';
import { command } from './command.ts';
import { scenario, times } from './harness.ts';
import { ALPINE, blobPath, manifestPath } from './paths.ts';
import type { RunningProcess } from './process.ts';
import { routesTo, type Settings } from './settings.ts';

const own = { settings: null, timeoutMs: 120_000 };
const two = (settings: Settings): Settings => ({ ...settings, workers: 2 });

/** The processes that this one started and that run, the oldest first. */
function workersOf({ pid }: Pick<RunningProcess, 'pid'>): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

/** Which of them have a connection of which one end, ours (1) or the other (2), is that port. */
function connectedTo(end: 1 | 2, { url }: { readonly url: string }, pids: readonly number[]): readonly number[] {
  const port = `0100007F:${Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')}`;
  return pids.filter((pid) => {
    const sockets = readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
    const inodes = new Set(
      sockets.flatMap((fields) => (fields[end] === port && fields[3] === '01' ? [`socket:[${fields[9]}]`] : [])),
    );
    return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(linkOf(`/proc/${pid}/fd/${fd}`)));
  });
}

/** At least so many at once, of whom some have come to each worker: which one takes a connection is chance. */
async function readersOf(server: RunningProcess, path: string, least: number): Promise<Reply[]> {
  const replies: Reply[] = [];
  while (replies.length < least || connectedTo(1, server, workersOf(server)).length < 2) {
    if (replies.length > 500) throw new Error('one worker takes all connections');
    replies.push(await server.get(path));
  }
  return replies;
}

/** A port that nobody listens on now: one that is chosen as a server starts is another one when all of it has died. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // Closed since it was listed.
  }
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const workersThatAnswered = ({ records }: RunningProcess): Set<unknown> =>
  new Set(records.flatMap((record) => (record.msg === 'request' ? [record['worker']] : [])));

describe.concurrent('several workers', () => {
  scenario(
    'all answer on one port, and one page of metrics counts what each did, to the last request',
    async ({ upstream, startProcess, directory }) => {
      upstream.image(ALPINE, 'latest');
      const server = await startProcess(two(routesTo(upstream)), { shipped: true });
      const path = manifestPath('latest');
      // Which of them takes a connection is chance: there are enough of them.
      let sent = 0;
      await until(
        async () => {
          sent += 20;
          await Promise.all(times(20, async () => (await server.get(path)).bytes()));
          return workersThatAnswered(server);
        },
        (workers) => workers.size === 2,
      );
      for (let scrape = 0; scrape < 4; scrape += 1) {
        const metrics = await server.metrics();
        expect(metrics.sum('registry_http_requests_total', { handler: 'manifest' })).toBe(sent);
        expect(metrics.sum('registry_http_request_duration_seconds_count', { handler: 'manifest' })).toBe(sent);
        // One client, whomever it came to; one disk, one build.
        expect(metrics.sum('entrepot_clients')).toBe(1);
        expect(metrics.sum('entrepot_build_info')).toBe(1);
        expect(metrics.sum('entrepot_storage_blobs', { kind: 'cached' })).toBe(1);
      }
      const { out } = await command(join(directory, 'data'), ['status', '--json', '--config', 'config.yml']);
      const status = JSON.parse(out) as {
        requests: { manifest: Record<string, number> };
        workers: { workers: { pid: number }[] };
      };
      expect(Object.values(status.requests.manifest).reduce((all, one) => all + one, 0)).toBe(sent);
      expect(status.workers.workers.map(({ pid }) => pid)).toEqual(workersOf(server));
    },
    own,
  );

  scenario(
    '[promise 2] sixteen clients on one cold blob, whichever worker they come to: one transfer',
    async ({ upstream, startProcess }) => {
      const layer = randomBlob(3_000_000, 5);
      const gate = createGate();
      upstream.blob(ALPINE, layer).holdAfter(1_000_000, gate).to('GET');
      const server = await startProcess(two(routesTo(upstream)));
      const replies = await readersOf(server, blobPath(layer), 16);
      gate.open();
      for (const digest of await Promise.all(replies.map((reply) => reply.sha256()))) expect(digest).toBe(layer.digest);
      expect(upstream.hits('GET blob')).toBe(1);
      await until(
        async () => workersThatAnswered(server),
        (workers) => workers.size === 2,
      );
    },
    own,
  );

  scenario(
    'one that leads a fill is killed: its own connections break, all others have the whole blob, and another takes its place',
    async ({ upstream, startProcess }) => {
      const layer = randomBlob(3_000_000, 7);
      const gate = createGate();
      upstream.blob(ALPINE, layer).holdAfter(2_000_000, gate).to('GET').once();
      const server = await startProcess(two(routesTo(upstream)));
      const replies = await readersOf(server, blobPath(layer), 12);
      const reading = replies.map((reply) => reply.untilBroken());
      await gate.reached;
      const [leader] = connectedTo(2, upstream, workersOf(server)) as [number];
      const before = (await server.metrics()).sum('entrepot_upstream_requests_total');
      process.kill(leader, 'SIGKILL');
      gate.open();
      const read = await Promise.all(reading);
      const whole = read.filter(({ broken }) => !broken);
      expect(whole.length).toBeGreaterThan(0);
      expect(whole.length).toBeLessThan(replies.length);
      for (const { bytes } of whole) expect(bytes.equals(layer.bytes)).toBe(true);
      // The other goes on from what it was told.
      expect(upstream.seen('GET blob').map(({ range }) => (range?.from ?? 0) > 0)).toEqual([false, true]);
      await server.logged('worker ended', ({ pid, how }) => pid === leader && how === 'SIGKILL');
      await server.logged('worker started');
      expect(workersOf(server)).not.toContain(leader);
      expect(workersOf(server)).toHaveLength(2);
      // What the dead one had counted is not forgotten: sums that got less would look like a restart of all.
      expect((await server.metrics()).sum('entrepot_upstream_requests_total')).toBeGreaterThanOrEqual(before);
      // The socket is somebody's again.
      expect(await server.get('/v2/')).toMatchObject({ status: 200 });
    },
    own,
  );

  scenario(
    'under load only connections of the one that is killed break',
    async ({ upstream, startProcess, directory }) => {
      const image = upstream.image(ALPINE, 'latest');
      const server = await startProcess(two(routesTo(upstream)));
      const path = manifestPath(image.top.digest);
      await (await server.get(path)).bytes();
      let [answered, failed, wrong] = [0, 0, 0];
      let going = true;
      const asking = times(8, async () => {
        while (going) {
          try {
            const reply = await server.get(path);
            await reply.bytes();
            if (reply.status === 200) answered += 1;
            else wrong += 1;
          } catch {
            failed += 1;
          }
        }
      });
      for (let round = 0; round < 2; round += 1) {
        const seen = answered;
        await until(
          async () => answered,
          (now) => now > seen + 200,
        );
        const [victim] = workersOf(server) as [number];
        process.kill(victim, 'SIGKILL');
        await server.logged('worker ended', ({ pid }) => pid === victim);
        await until(
          async () => server.records.filter(({ msg }) => msg === 'worker started').length,
          (count) => count > round,
        );
      }
      going = false;
      await Promise.all(asking);
      expect(wrong).toBe(0);
      // Each of eight has one request at a time, and one of two workers died twice.
      expect(failed).toBeLessThanOrEqual(16);
      // Who comes later finds the socket, too, with whoever has the duties now.
      const { code } = await command(join(directory, 'data'), ['status', '--config', 'config.yml']);
      expect(code).toBe(0);
    },
    own,
  );

  scenario(
    'SIGHUP: all take a configuration, or none does',
    async ({ upstream, startProcess, directory }) => {
      upstream.image(ALPINE, 'latest');
      const server = await startProcess(two(routesTo(upstream)));
      const file = join(directory, 'data', 'config.yml');
      const before = JSON.parse(await readFile(file, 'utf8')) as Settings;
      const statuses = async (): Promise<Set<number>> =>
        new Set(await Promise.all(times(30, async () => (await server.get(manifestPath('latest'))).status)));
      expect(await statuses()).toEqual(new Set([200]));
      await writeFile(file, JSON.stringify({ ...before, routes: [{ match: 'docker.io/**', deny: true }] }));
      server.signal('SIGHUP');
      await server.logged('reloaded');
      expect(await statuses()).toEqual(new Set([403]));
      await writeFile(file, JSON.stringify({ ...before, rootes: [] }));
      server.signal('SIGHUP');
      expect(await server.logged('reload failed')).toMatchObject({ error: expect.stringContaining('rootes') as unknown });
      expect(await statuses()).toEqual(new Set([403]));
      expect((await server.metrics()).sum('entrepot_config_last_reload_successful')).toBe(0);
      // A successor takes what is in force, and not what stands in the file.
      const [victim] = workersOf(server) as [number];
      process.kill(victim, 'SIGKILL');
      await server.logged('worker started');
      expect(await statuses()).toEqual(new Set([403]));
      expect((await server.metrics()).sum('entrepot_config_last_reload_successful')).toBe(0);
      expect(server.records.filter(({ msg }) => msg === 'reloaded')).toHaveLength(1);
      await writeFile(file, JSON.stringify(before));
      await server.logged(
        'reloaded',
        ({ time }) => String(time) > String(server.records.find(({ msg }) => msg === 'reload failed')!['time']),
      );
      expect(await statuses()).toEqual(new Set([200]));
      expect((await server.metrics()).sum('entrepot_config_last_reload_successful')).toBe(1);
      // What is limited is so for all of them together.
      const reloads = (): number => server.records.filter(({ msg }) => msg === 'reloaded').length;
      const known = reloads();
      await writeFile(file, JSON.stringify({ ...before, limits: { address: { rate: '1/h', burst: 5 } } }));
      await until(
        async () => reloads(),
        (count) => count > known,
      );
      const answers = await Promise.all(times(30, async () => (await server.get(manifestPath('latest'))).status));
      expect(answers.filter((status) => status === 200)).toHaveLength(5);
      expect(answers.filter((status) => status === 429)).toHaveLength(25);
    },
    own,
  );

  scenario(
    'SIGTERM: every worker ends what it answers, and then all have ended',
    async ({ upstream, startProcess }) => {
      const layer = randomBlob(2_000_000, 9);
      const gate = createGate();
      upstream.blob(ALPINE, layer).holdAfter(1_000_000, gate).to('GET').once();
      const server = await startProcess(two(routesTo(upstream)));
      const workers = workersOf(server);
      const clients = createHttpClient(server.url);
      const replies = await Promise.all(times(8, () => clients.get(blobPath(layer))));
      const reading = replies.map((reply) => reply.untilBroken());
      await gate.reached;
      const ended = server.kill();
      for (const worker of [1, 2]) await server.logged('draining', (record) => record['worker'] === worker);
      gate.open();
      for (const { broken, bytes } of await Promise.all(reading))
        expect([broken, bytes.equals(layer.bytes)]).toEqual([false, true]);
      expect(await ended).toBe(0);
      expect(workers.filter(isRunning)).toEqual([]);
    },
    own,
  );

  scenario(
    'the primary is killed: its workers end by themselves, and the port is free',
    async ({ upstream, startProcess }) => {
      const server = await startProcess(two(routesTo(upstream)));
      const workers = workersOf(server);
      const idle = await server.raw();
      await server.kill('SIGKILL');
      await until(
        async () => workers.filter(isRunning),
        (running) => running.length === 0,
      );
      idle.close();
      const port = Number(new URL(server.url).port);
      const again = createServer();
      await new Promise<void>((resolve, reject) => again.once('error', reject).listen(port, '127.0.0.1', resolve));
      again.close();
    },
    own,
  );

  scenario(
    'what keeps one from starting is said once, and ends all',
    async ({ upstream, startProcess, defer }) => {
      const taken = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => taken.once('listening', resolve));
      defer(() => taken.close());
      const { port } = taken.address() as { port: number };
      const starting = startProcess({ ...two(routesTo(upstream)), http: { addr: `127.0.0.1:${port}` } });
      await expect(starting).rejects.toThrow(new RegExp(`it ended before it listened: [^\\n]*${port}[^\\n]*\\n$`));
    },
    own,
  );

  scenario(
    'a signal to one worker ends that one behind what it answers, and another takes its place',
    async ({ upstream, startProcess }) => {
      const server = await startProcess(two(routesTo(upstream)));
      const [victim] = workersOf(server) as [number];
      process.kill(victim, 'SIGTERM');
      await server.logged('worker started');
      expect(workersOf(server)).not.toContain(victim);
      expect(await server.logged('worker ended')).toMatchObject({ how: 0, level: 'info' });
    },
    own,
  );

  scenario(
    'all are killed at once: the server is back, and where that happens again and again it ends and says so',
    async ({ upstream, startProcess }) => {
      const server = await startProcess({ ...two(routesTo(upstream)), http: { addr: `127.0.0.1:${await freePort()}` } });
      for (const worker of workersOf(server)) process.kill(worker, 'SIGKILL');
      const answers = (): Promise<number> =>
        server.get('/v2/').then(
          ({ status }) => status,
          () => 0,
        );
      await until(answers, (status) => status === 200);
      if (!full) return;
      const started = (): number => server.records.filter(({ msg }) => msg === 'worker started').length;
      await until(
        async () => started(),
        (count) => count === 2,
      );
      const killOne = async (): Promise<boolean> => {
        const [worker] = workersOf(server);
        if (worker !== undefined) process.kill(worker, 'SIGKILL');
        return isRunning(server.pid);
      };
      await until(killOne, (runs) => !runs, 60_000);
      expect(await server.kill()).toBe(1);
      expect(server.stderr()).toMatch(/^worker processes ended again and again: the last was ended by SIGKILL\n$/);
    },
    own,
  );
});
