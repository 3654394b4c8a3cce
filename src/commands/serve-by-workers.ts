import { createDesk } from '../compose/desk.ts';
import type { Config } from '../config/config.ts';
import { reportServer } from '../observe/report-server.ts';
import { createStates } from '../observe/states.ts';
import { createPrimary } from '../workers/primary.ts';
import type { CommandContext, RunningServer, StartOptions } from './context.ts';
import { formatterOf } from './serve.ts';
import type { WorkerOrder } from './serve-as-worker.ts';
import { filesOf } from './settings.ts';
import { CommandFault } from './fault.ts';

/** Several processes as one server: this one starts the others, and answers no request itself. */
export async function serveByWorkers(
  context: CommandContext,
  count: number,
  config: Config,
  { log, stdout, reload }: StartOptions,
): Promise<RunningServer> {
  let order = orderOf(context, config);
  let isConfigured = 1;
  const report = reportServer(log, { set: (_name, _labels, value) => void (isConfigured = value) }, createStates());
  const desk = createDesk(context.clock);
  const primary = createPrimary({
    count,
    clock: context.clock,
    start: context.workers.start,
    order: () => order,
    write: stdout.write,
    answers: { reload, ...desk.answers },
    onEnd: desk.left,
    dropped: stdout.dropped,
    counted: () => [
      {
        name: 'entrepot_config_last_reload_successful',
        help: '',
        type: 'gauge',
        aggregator: 'min',
        values: [{ value: isConfigured, labels: {} }],
      },
    ],
    report(event) {
      const { kind, worker, pid } = event;
      if (kind === 'worker-started') return log.info('worker started', { worker, pid });
      const { how, leaving, fault, pauseMs } = event;
      return log[leaving ? 'info' : 'error']('worker ended', {
        worker,
        pid,
        how,
        ...(fault === undefined ? {} : { error: fault }),
        next: pauseMs === undefined ? 'never: too many have ended' : `in ${pauseMs} ms`,
      });
    },
  });
  const release = context.workers.hold();
  const addresses = await primary.start().catch((error: unknown) => {
    release();
    // It was put into words where it happened.
    throw new CommandFault(error instanceof Error ? error.message : String(error), 1, { cause: error });
  });
  return {
    addresses,
    async reload(next) {
      const nextOrder = orderOf(context, next);
      const restart = await primary.reload(nextOrder);
      order = nextOrder;
      return restart;
    },
    drain: () => primary.drain().finally(release),
    failed: primary.failed.then((reason) => `worker processes ended again and again: ${reason}`),
    report(event) {
      if (event.kind === 'listening' || event.kind === 'reloaded' || event.kind === 'reload-failed') report(event);
    },
  };
}

function orderOf(context: CommandContext, config: Config): WorkerOrder {
  return { files: filesOf(config), formatter: formatterOf(config, context) };
}
