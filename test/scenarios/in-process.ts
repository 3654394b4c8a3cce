import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { startServer } from '../../src/compose.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createLineSink } from '../../src/observe/line-sink.ts';
import { createLog } from '../../src/observe/log.ts';
import { createRecords, createRunning, type Running } from './running.ts';
import type { Settings } from './settings.ts';

export interface RunningHere extends Running {
  /** Takes other settings, as SIGHUP does. */
  reload(settings: Settings): Promise<readonly string[]>;
  /** Drains and ends. */
  stop(): Promise<void>;
}

/** The real server in this process: nothing in it is replaced. `directory` is where its file is written. */
export async function startHere(settings: Settings, directory: string): Promise<RunningHere> {
  return startWith(await configOf(settings, directory), directory);
}

/** The same by a file that stands already. */
export async function startFrom(file: string): Promise<RunningHere> {
  return startWith(await load(file, dirname(file)), dirname(file));
}

async function startWith(config: Config, directory: string): Promise<RunningHere> {
  const log = createRecords();
  const stream = new PassThrough().setEncoding('utf8').on('data', log.take);
  const stdout = createLineSink(stream);
  const server = await startServer(config, {
    log: createLog({ level: 'debug', fields: {}, formatter: 'json', sink: stdout }),
    stdout,
    version: 'test',
    reload: () => Promise.reject(new Error('reload through the harness')),
  });
  const running = createRunning(server.addresses, log);
  let stopping: Promise<void> | undefined;
  return {
    ...running,
    reload: async (next) => server.reload(await configOf(next, directory)),
    stop() {
      running.closeClients();
      return (stopping ??= server.drain());
    },
  };
}

async function configOf(settings: Settings, directory: string): Promise<Config> {
  const argument = join(directory, 'config.yml');
  await writeFile(argument, JSON.stringify(settings));
  return load(argument, directory);
}

function load(argument: string, directory: string): Promise<Config> {
  return loadConfig({ argument, env: {}, directory, readFile: (path) => readFile(path, 'utf8').catch(() => undefined) });
}
