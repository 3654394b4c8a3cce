import cluster, { type Worker } from 'node:cluster';
import { finished } from 'node:stream';

/** One end of a channel between a primary and one of its workers. */
export interface Channel {
  /** Nothing happens where the other end has gone. */
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Once: nobody will hear or say anything any more. */
  onGone(listener: () => void): void;
}

export interface WorkerProcess extends Channel {
  readonly pid: number;
  /** What it writes to standard output, as it comes. */
  onOutput(listener: (text: string) => void): void;
  /** Once, when it has ended and all of its output was read: its exit code, or the signal that ended it. */
  onEnd(listener: (how: number | string) => void): void;
  kill(): void;
}

/** Of a process that waits for disks; as the image has it. Node's own 4 are soon all in a sync, and reads of what is held wait. */
const THREADS = '16';

/**
 * Starts this program again, with the same arguments, as a worker. What it listens on is bound here and shared with all others:
 * each takes connections off one queue by itself, so that none passes through this process (measured: half of what it costs to
 * hand them out in turn, and spread as evenly), and none is lost with a worker that dies before it looked at it.
 */
export function startWorkerProcess(): WorkerProcess {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({ stdio: ['ignore', 'pipe', 'inherit', 'ipc'], serialization: 'advanced' });
  const worker = cluster.fork({ UV_THREADPOOL_SIZE: process.env['UV_THREADPOOL_SIZE'] ?? THREADS });
  const { stdout } = worker.process;
  stdout?.setEncoding('utf8');
  return {
    pid: worker.process.pid ?? 0,
    ...channelOf(worker),
    onOutput: (listener) => void stdout?.on('data', listener),
    onEnd(listener) {
      const read = new Promise<void>((resolve) => {
        if (stdout === null) resolve();
        else finished(stdout, () => resolve());
      });
      // A process that cannot be started at all has no exit.
      const ended = new Promise<number | string>((resolve) => {
        worker.process.once('exit', (code, signal) => resolve(signal ?? code ?? 0));
        worker.process.once('error', (error) => worker.process.pid === undefined && resolve(error.message));
      });
      void Promise.all([ended, read]).then(([how]) => listener(how));
    },
    kill: () => void worker.process.kill('SIGKILL'),
  };
}

const HOLD_MS = 24 * 3600 * 1000;

/** Keeps this process until the function that it yields is called: without a worker there is nothing else that does, and timers do not. */
export function holdProcess(): () => void {
  const timer = setInterval(() => undefined, HOLD_MS);
  return () => clearInterval(timer);
}

/** The way to the primary, which keeps this process alive until it is closed. */
export interface PrimaryChannel extends Channel {
  close(): void;
}

/** The primary, where this process is a worker of one. */
export function primaryChannel(): PrimaryChannel | undefined {
  const { worker } = cluster;
  if (!cluster.isWorker || worker === undefined) return undefined;
  // Node would end this process with the primary: what is being answered may end first.
  worker.exitedAfterDisconnect = true;
  return {
    ...channelOf(worker),
    close() {
      if (worker.isConnected()) process.disconnect?.();
    },
  };
}

function channelOf(worker: Worker): Channel {
  return {
    send(message) {
      // The callback hears of a channel that closes meanwhile; without one it would be an error of the process.
      if (worker.isConnected()) worker.send(message as NodeJS.Dict<unknown>, () => undefined);
    },
    onMessage: (listener) => void worker.on('message', listener),
    onGone(listener) {
      if (worker.isConnected()) worker.once('disconnect', listener);
      else listener();
    },
  };
}
