import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { MAIN, startProcess, type RunningProcess } from '../scenarios/process.ts';
import { baseSettings, type Settings } from '../scenarios/settings.ts';
import { startOfficialRegistry, type OfficialRegistry } from './official-registry.ts';
import { needs, run } from './program.ts';

/** A real client's surroundings: official registries as upstreams, Entrepot in front of them as a process of its own. */
export interface ClientStage {
  readonly directory: string;
  /** What docker.io is here. */
  readonly hub: OfficialRegistry;
  /** What quay.io is here. */
  readonly quay: OfficialRegistry;
  readonly entrepot: RunningProcess;
  /** `127.0.0.1:PORT` of Entrepot. */
  readonly authority: string;
  /** Stops both upstreams: what comes now comes from the cache. */
  stopUpstreams(): Promise<void>;
  /** What `entrepot client KIND` prints for this server, its files written below `directory`; yields their paths. */
  configure(kind: string): Promise<readonly { readonly path: string; readonly file: string }[]>;
  /** A directory for the client. */
  place(name: string): Promise<string>;
  defer(end: () => unknown): void;
}

/** Runs where the programs are installed and the user is root; elsewhere it is skipped with the reason, unless all must run. */
export function clientScenario(title: string, programs: readonly string[], play: (stage: ClientStage) => Promise<void>): void {
  const { whyNot, optional = false } = needs(['docker-registry', ...programs]);
  const body = async (): Promise<void> => {
    if (whyNot !== undefined) throw new Error(whyNot);
    const ends: (() => unknown)[] = [];
    try {
      await play(await setStage(ends));
    } finally {
      for (const end of ends.toReversed()) await end();
    }
  };
  const skip = whyNot !== undefined && (optional || process.env['ENTREPOT_REQUIRE_ALL'] !== '1');
  test.skipIf(skip)(skip ? `${title} (skipped: ${whyNot})` : title, body, 120_000);
}

async function setStage(ends: (() => unknown)[]): Promise<ClientStage> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-'));
  ends.push(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const hub = await startOfficialRegistry(directory, 'hub');
  ends.push(() => hub.stop());
  const quay = await startOfficialRegistry(directory, 'quay');
  ends.push(() => quay.stop());
  const place = async (name: string): Promise<string> => {
    const own = join(directory, name);
    await mkdir(own, { recursive: true });
    return own;
  };
  const own = await place('entrepot');
  const entrepot = await startProcess(baseSettings(own, mirrorOf(hub, quay)), own);
  ends.push(() => entrepot.stop());
  return {
    directory,
    hub,
    quay,
    entrepot,
    authority: new URL(entrepot.url).host,
    async stopUpstreams() {
      await hub.stop();
      await quay.stop();
    },
    configure: (kind) => configure(kind, entrepot.url, join(own, 'config.yml'), directory),
    place,
    defer: (end) => void ends.push(end),
  };
}

function mirrorOf(hub: OfficialRegistry, quay: OfficialRegistry): Settings {
  return {
    upstreams: { hub: { url: hub.url }, quay: { url: quay.url } },
    routes: [
      { match: 'docker.io/**', upstreams: ['hub'] },
      { match: 'quay.io/**', upstreams: ['quay'] },
    ],
  };
}

/** What `entrepot client KIND` prints, written below `directory`. */
export async function configure(
  kind: string,
  url: string,
  config: string,
  directory: string,
): Promise<readonly { readonly path: string; readonly file: string }[]> {
  const text = await run(process.execPath, [MAIN, 'client', kind, '--url', url, '--config', config, '--json']);
  const { files } = JSON.parse(text) as { files: { path: string; text: string }[] };
  const written: { path: string; file: string }[] = [];
  for (const { path, text: content } of files) {
    const file = join(directory, kind, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, content);
    written.push({ path, file });
  }
  return written;
}
