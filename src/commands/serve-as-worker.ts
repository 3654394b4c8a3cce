import type { Reloaded } from '../admin/calls.ts';
import type { Config } from '../config/config.ts';
import { createLineSink } from '../observe/line-sink.ts';
import { createLog, type Log } from '../observe/log.ts';
import type { PrimaryChannel } from '../system/worker-processes.ts';
import { takeStation, type Obeys, type Station } from '../workers/station.ts';
import type { CommandContext, ExitCode, RunningServer } from './context.ts';
import { CommandFault, faultText } from './fault.ts';
import { LINGER_MS } from './serve.ts';
import { readConfigFrom, type FileRead } from './settings.ts';
import { startFault } from './start-fault.ts';

/** By what a worker serves: what its primary read, so that all serve by the same. */
export interface WorkerOrder {
  readonly files: ReadonlyMap<string, FileRead>;
  readonly formatter: 'text' | 'json';
}

/** Serves beside others until the primary has it end, or ends; a signal ends this worker alone, and another takes its place. */
export async function serveAsWorker(
  context: CommandContext,
  argument: string | undefined,
  channel: PrimaryChannel,
): Promise<ExitCode> {
  const { station, order } = await takeStation(channel);
  let server: RunningServer | undefined;
  // Nobody is served yet: there is nothing to end.
  void station.orphaned.then(() => server === undefined && context.signals.exit(1));
  const { files, formatter } = order.order as WorkerOrder;
  try {
    const config = await readConfigFrom(context, argument, files);
    const stdout = createLineSink(context.terminal.stream);
    const { level, fields } = config.log;
    const log = createLog({ level, fields: { ...fields, worker: order.worker }, formatter, sink: stdout });
    const { siblings } = station;
    const reload = (): Promise<Reloaded> => siblings.ask('reload') as Promise<Reloaded>;
    server = await context.startServer(config, { log, stdout, version: context.version, reload, siblings });
    await obey(context, station, server, (next) => readConfigFrom(context, argument, next.files), log);
    return 0;
  } catch (error) {
    await station.fault(faultText(error instanceof CommandFault ? error : startFault(error)));
    return 1;
  } finally {
    // Otherwise it would keep this process, which has nothing more to do.
    channel.close();
  }
}

/** Resolves when the server has ended what it did. */
async function obey(
  context: CommandContext,
  station: Station,
  server: RunningServer,
  read: (order: WorkerOrder) => Promise<Config>,
  log: Log,
): Promise<void> {
  const drain = once(async (): Promise<void> => {
    await server.drain();
    context.clock.after(LINGER_MS, () => context.signals.exit(0));
  });
  const ended = new Promise<void>((resolve, reject) => {
    const end = (): void => void drain().then(resolve, reject);
    // A service manager signals the workers as well as the primary; and a person may want one to end.
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      context.signals.on(name, () => {
        station.leaving();
        end();
      });
    }
    let draining = false;
    void station.orphaned.then(() => {
      // The primary was told a second time, or has died in the middle.
      if (draining) context.signals.exit(1);
      else end();
    });
    station.listening(server.addresses, {
      ...inTwoSteps(server, read, log),
      drain() {
        draining = true;
        end();
      },
    });
  });
  await ended;
}

/** A configuration is taken when all workers have said that they can. */
function inTwoSteps(
  server: RunningServer,
  read: (order: WorkerOrder) => Promise<Config>,
  log: Log,
): Pick<Obeys, 'prepare' | 'commit' | 'abandon'> {
  let verdict: { readonly agree: () => void; readonly refuse: (error: Error) => void } | undefined;
  let taking: Promise<readonly string[]> = Promise.resolve([]);
  return {
    async prepare(order) {
      const config = await read(order as WorkerOrder);
      await new Promise<void>((ready, cannot) => {
        const agreed = (): Promise<void> =>
          new Promise((agree, refuse) => {
            verdict = { agree, refuse };
            ready();
          });
        taking = server.reload(config, agreed).then((restart) => {
          log.setLevel(config.log.level);
          return restart;
        });
        taking.catch(cannot);
      });
    },
    commit() {
      verdict?.agree();
      return taking;
    },
    abandon: () => verdict?.refuse(new Error('another worker could not take it')),
  };
}

function once(act: () => Promise<void>): () => Promise<void> {
  let acting: Promise<void> | undefined;
  return () => (acting ??= act());
}
