import type { Reloaded } from '../admin/calls.ts';
import type { Config } from '../config/config.ts';
import { watchFiles } from '../config/watch.ts';
import { createLineSink, type LineSink } from '../observe/line-sink.ts';
import { createLog, type Log } from '../observe/log.ts';
import { messageOf } from '../observe/redact.ts';
import type { CommandContext, ExitCode, RunningServer, StartOptions } from './context.ts';
import { CommandFault } from './fault.ts';
import { readConfig, readText } from './settings.ts';
import { startFault } from './start-fault.ts';

/** Serves until SIGTERM or SIGINT, drains, and yields 0; a second such signal ends the process at once. */
export async function serve(context: CommandContext, argument: string | undefined): Promise<ExitCode> {
  ignoreStraySignals(context);
  const primary = context.workers.primary();
  if (primary !== undefined) return (await import('./serve-as-worker.ts')).serveAsWorker(context, argument, primary);
  let config = await readConfig(context, argument);
  const stdout = createLineSink(context.terminal.stream);
  const log = logOf(config, context, stdout);
  for (const warning of config.warnings) log.warn('configuration', { warning });
  // Where the server keeps going is decided when it runs: until then there is nothing to reload.
  let reload = async (): Promise<Reloaded> => Promise.reject(new CommandFault('the server is still starting: try again'));
  const server = await start(context, config, { log, stdout, version: context.version, reload: () => reload() });
  let failed = false;
  reload = createReload(context, argument, server, (next) => {
    failed = next === undefined;
    if (next === undefined) return;
    config = next;
    log.setLevel(next.log.level);
  });
  const { version } = context;
  server.report({
    kind: 'listening',
    addresses: server.addresses,
    config: nameOf(config),
    rootdirectory: config.storage.rootdirectory,
    version,
  });
  // A wrong file is read again until it is right, even if what makes it right is what we run with: the metric says so then.
  const watched = (): Config['watched'] => (failed ? unread(config.watched) : config.watched);
  const failure = await untilStopped(context, server, watched, reload);
  if (failure !== undefined) throw new CommandFault(failure);
  return 0;
}

/**
 * Whoever rotates logs or writes our file may send these at any moment. While we start or stop a SIGHUP would end the
 * process; what it announced is seen by the watch of the files. At SIGUSR1 Node would open its debugger to all on this machine.
 */
function ignoreStraySignals({ signals }: CommandContext): void {
  for (const name of ['SIGHUP', 'SIGUSR1'] as const) signals.on(name, () => {});
}

async function start(context: CommandContext, config: Config, options: StartOptions): Promise<RunningServer> {
  try {
    await checkWritable(context, config.storage.rootdirectory);
    const count = config.workers === 'auto' ? context.workers.processors() : config.workers;
    // What one process serves needs nobody beside it.
    if (count === 1) return await context.startServer(config, options);
    const { serveByWorkers } = await import('./serve-by-workers.ts');
    return await serveByWorkers(context, count, config, options);
  } catch (error) {
    throw error instanceof CommandFault ? error : new CommandFault(startFault(error), 1, { cause: error });
  }
}

/** A volume that belongs to somebody else is the first fault of most containers: say the command that mends it. */
async function checkWritable(context: CommandContext, directory: string): Promise<void> {
  try {
    await context.disk.makeDirectory(directory);
    const probe = `${directory}/.writable`;
    await context.disk.unlink(probe);
    const file = await context.disk.open(probe, 'create');
    await file?.close();
    await context.disk.unlink(probe);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EACCES' && code !== 'EPERM') return; // A full or read-only disk does not keep it from serving (promise 5).
    const owner = `${process.getuid?.() ?? 1000}:${process.getgid?.() ?? 1000}`;
    const there = await context.disk.stat(directory).catch(() => undefined);
    const make = there === undefined ? `mkdir -p ${directory} && ` : '';
    throw new CommandFault(`${directory} may not be written by this user: run  ${make}chown -R ${owner} ${directory}`, 1, {
      cause: error,
    });
  }
}

/** One reload at a time; a second one asked for meanwhile joins a fresh one, so that the last change is always read. */
function createReload(
  context: CommandContext,
  argument: string | undefined,
  server: RunningServer,
  /** Told how each reload ended: with a configuration in force, or without. */
  ended: (config: Config | undefined) => void,
): () => Promise<Reloaded> {
  let last: Promise<unknown> = Promise.resolve();
  const once = async (): Promise<Reloaded> => {
    try {
      const config = await readConfig(context, argument);
      const restart = await server.reload(config);
      ended(config);
      server.report({ kind: 'reloaded', config: nameOf(config), restart });
      return { config: nameOf(config), restart };
    } catch (error) {
      ended(undefined);
      server.report({ kind: 'reload-failed', config: argument ?? 'configuration', message: messageOf(error) });
      throw error;
    }
  };
  return () => {
    const next = last.then(once, once);
    last = next.catch(() => {}); // The caller hears of it; the queue only goes on.
    return next;
  };
}

/** Between two looks at the files that the configuration came from. */
const LOOK_MS = 2000;

/** How long a drained process may take to end by itself, its last log lines out. */
export const LINGER_MS = 3000;

/** Yields why it could not go on, where nobody stopped it. */
async function untilStopped(
  context: CommandContext,
  server: RunningServer,
  watched: () => Config['watched'],
  reload: () => Promise<Reloaded>,
): Promise<string | undefined> {
  // What went wrong is reported where it happens: nobody waits for these two.
  const unheard = (): Promise<unknown> => reload().catch(() => {});
  const watch = watchFiles({
    watched,
    readFile: (path, bytesMax) => readText(context.disk, path, bytesMax),
    after: (ms, callback) => context.clock.after(ms, callback),
    changed: async () => void (await unheard()),
    interval: LOOK_MS,
  });
  const stops = [context.signals.on('SIGHUP', () => void unheard()), () => watch.close()];
  const stopped = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) stops.push(context.signals.on(name, resolve));
  });
  const failure = await Promise.race([stopped.then(() => undefined), ...(server.failed === undefined ? [] : [server.failed])]);
  for (const name of ['SIGTERM', 'SIGINT'] as const) stops.push(context.signals.on(name, () => context.signals.exit(0)));
  await server.drain();
  // The timer keeps nothing alive: it ends a process in which something still does.
  context.clock.after(LINGER_MS, () => context.signals.exit(failure === undefined ? 0 : 1));
  for (const stop of stops) stop();
  return failure;
}

/** The same files, as if nothing were known of what they hold. */
function unread(watched: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...watched.keys()].map((path) => [path, '']));
}

function logOf(config: Config, context: CommandContext, sink: LineSink): Log {
  const { level, fields } = config.log;
  return createLog({ level, fields, formatter: formatterOf(config, context), sink });
}

/** Text for a person on a terminal, JSON for everything else, unless `log.formatter` says. */
export function formatterOf(config: Config, { terminal }: CommandContext): 'text' | 'json' {
  return config.log.formatter ?? (terminal.interactive ? 'text' : 'json');
}

function nameOf(config: Config): string {
  return config.file ?? (config.mode === 'unconfigured' ? 'none: set ENTREPOT_CONFIG, or write a config.yml' : 'environment');
}
