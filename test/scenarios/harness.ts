import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { createFaultyLink, type FaultyLink, type LinkFaults } from '../fakes/faulty-link.ts';
import { createScriptedUpstream, type ScriptedUpstream, type ScriptedUpstreamOptions } from '../fakes/scripted-upstream.ts';
import type { RunningHere } from './in-process.ts';
import { startProcess, type ProcessOptions, type RunningProcess } from './process.ts';
import type { Running } from './running.ts';
import { baseSettings, routesTo, type Settings } from './settings.ts';

/** What a scenario works with; all of it ends with the scenario. */
export interface Stage {
  readonly upstream: ScriptedUpstream;
  /** The server, in this process, with docker.io from `upstream`. */
  readonly server: RunningHere;
  /** A directory of the scenario's own. */
  readonly directory: string;
  addUpstream(options?: ScriptedUpstreamOptions): Promise<ScriptedUpstream>;
  /** A TCP proxy in front of an upstream. */
  addLink(target: Pick<ScriptedUpstream, 'url'>, faults?: LinkFaults): Promise<FaultyLink>;
  /** Another server in this process; `name` gives it a directory of its own (the same name: the same directory). */
  start(more: Settings, name?: string): Promise<RunningHere>;
  /** The built program in a process of its own. */
  startProcess(more: Settings, options?: ProcessOptions & { readonly name?: string }): Promise<RunningProcess>;
  /** Calls `end` when the scenario ends. */
  defer(end: () => unknown): void;
}

export interface ScenarioOptions {
  readonly upstream?: ScriptedUpstreamOptions;
  /** Instead of docker.io from `upstream`. `null`: the stage's own server is not started. */
  readonly settings?: ((upstream: ScriptedUpstream) => Settings) | null;
  readonly timeoutMs?: number;
  /** Why it cannot run on this machine: it is skipped, with the reason, unless all must run. */
  readonly whyNot?: string;
  /** It is skipped even where all must run. */
  readonly optional?: boolean;
}

/** A black-box test: scripted upstream, our server, a real client. */
export function scenario(title: string, play: (stage: Stage) => Promise<void>, options: ScenarioOptions = {}): void {
  const { whyNot, optional = false } = options;
  const skip = whyNot !== undefined && (optional || process.env['ENTREPOT_REQUIRE_ALL'] !== '1');
  test.skipIf(skip)(
    skip ? `${title} (skipped: ${whyNot})` : title,
    async () => {
      if (whyNot !== undefined) throw new Error(whyNot);
      const ends: (() => unknown)[] = [];
      const servers: Running[] = [];
      try {
        await play(await setStage(options, ends, servers));
      } catch (error) {
        throw withLog(error, servers);
      } finally {
        for (const end of ends.toReversed()) await end();
      }
    },
    options.timeoutMs ?? 60_000,
  );
}

/** What the servers said is half of what one needs to see why. */
function withLog(error: unknown, servers: readonly Running[]): unknown {
  const said = servers.flatMap(({ records }) => records.filter(({ level }) => level === 'error' || level === 'warn'));
  if (error instanceof Error && said.length > 0) {
    error.message += `\n${said
      .slice(0, 20)
      .map((record) => JSON.stringify(record))
      .join('\n')}`;
  }
  return error;
}

async function setStage(options: ScenarioOptions, ends: (() => unknown)[], servers: Running[]): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-'));
  ends.push(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));

  async function addUpstream(upstreamOptions?: ScriptedUpstreamOptions): Promise<ScriptedUpstream> {
    const upstream = await createScriptedUpstream(upstreamOptions);
    ends.push(() => upstream.close());
    return upstream;
  }
  async function place(name: string): Promise<string> {
    const own = join(directory, name);
    await mkdir(own, { recursive: true });
    return own;
  }
  async function start(more: Settings, name = 'data'): Promise<RunningHere> {
    const own = await place(name);
    // Loading the whole program takes longer than many a test that starts it as a process.
    const { startHere } = await import('./in-process.ts');
    const server = await startHere(baseSettings(own, more), own);
    servers.push(server);
    ends.push(() => server.stop());
    return server;
  }

  const upstream = await addUpstream(options.upstream);
  const settings = options.settings === undefined ? routesTo : options.settings;
  const server = settings === null ? undefined : await start(settings(upstream));
  return {
    upstream,
    get server() {
      if (server === undefined) throw new Error('this scenario starts its own servers');
      return server;
    },
    directory,
    addUpstream,
    async addLink(target, faults) {
      const link = await createFaultyLink(Number(new URL(target.url).port), faults);
      ends.push(() => link.close());
      return link;
    },
    start,
    async startProcess(more, { name = 'data', ...processOptions } = {}) {
      const own = await place(name);
      const running = await startProcess(baseSettings(own, more), own, processOptions);
      servers.push(running);
      ends.push(() => running.stop());
      return running;
    },
    defer: (end) => void ends.push(end),
  };
}

/** `count` results of `make`, which is told which one it is. */
export function times<T>(count: number, make: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => make(at));
}
