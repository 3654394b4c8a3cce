import type { Admin } from '../admin/admin.ts';
import type { Reloaded } from '../admin/calls.ts';
import type { Proof } from '../admin/prove.ts';
import type { RestoreStep } from '../backup/restore.ts';
import type { Config } from '../config/config.ts';
import type { LineSink } from '../observe/line-sink.ts';
import type { Log } from '../observe/log.ts';
import type { HouseEvent } from '../observe/events.ts';
import type { Clock } from '../system/clock.ts';
import type { Disk } from '../system/disk.ts';
import type { PrimaryChannel, WorkerProcess } from '../system/worker-processes.ts';
import type { Siblings } from '../workers/siblings.ts';
import type { Keyboard } from './keyboard.ts';

/** All that a command sees of the world: made by main.ts, and by tests. */
export interface CommandContext {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory, absolute. */
  readonly directory: string;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly terminal: Terminal;
  readonly keyboard: Keyboard;
  readonly signals: Signals;
  readonly startServer: StartServer;
  readonly workers: Workers;
  /** Becomes the user to whom the directory belongs, where this process may; false when there is no such directory. */
  readonly actAsOwner: (directory: string) => boolean;
  /** Opens the store of a server that does not run, for a command to look into. */
  readonly openStore: OpenStore;
  readonly restoreStore: RestoreStore;
  /** Asks every upstream of the configuration, each once. */
  readonly proveUpstreams: (config: Config, signal: AbortSignal) => Promise<readonly Proof[]>;
}

export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** True when a person reads `out`. */
  readonly interactive: boolean;
  /** Where the log goes. */
  readonly stream: NodeJS.WriteStream;
}

export type SignalName = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR1';

/** The process's signals; the function returned stops listening. */
export interface Signals {
  on(name: SignalName, listener: () => void): () => void;
  /** Ends the process now. */
  exit(code: number): void;
}

/** The processes of a server that is several. */
export interface Workers {
  /** How many make use of this machine: `workers: auto`. */
  readonly processors: () => number;
  /** Starts this program again. */
  readonly start: () => WorkerProcess;
  /** Keeps this process, also while none of them runs, until the function is called. */
  readonly hold: () => () => void;
  /** Where this process is a worker: whoever started it. */
  readonly primary: () => PrimaryChannel | undefined;
}

export interface StartOptions {
  readonly log: Log;
  /** Lines to standard output, where the log goes too. */
  readonly stdout: LineSink;
  readonly version: string;
  /** What the socket's `reload` calls: the same as SIGHUP. */
  readonly reload: () => Promise<Reloaded>;
  /** Default: this process serves alone. */
  readonly siblings?: Siblings;
}

/** Resolves when it listens; rejects with what kept it from that, having released everything. */
export type StartServer = (config: Config, options: StartOptions) => Promise<RunningServer>;

export interface RunningServer {
  /** As bound, by listener: `{ main: '127.0.0.1:5000', debug: '127.0.0.1:5001' }`. */
  readonly addresses: Readonly<Record<string, string>>;
  /**
   * Takes effect for new requests. Yields the keys that changed and wait for a restart. Rejects and changes nothing if it cannot,
   * or if `agreed` rejects, which is called when nothing can go wrong any more.
   */
  reload(config: Config, agreed?: () => Promise<void>): Promise<readonly string[]>;
  /** Unready, stop accepting, end what runs within `http.draintimeout`, then close everything. */
  drain(): Promise<void>;
  /** Resolves, with the reason, where it cannot go on serving. */
  readonly failed?: Promise<string>;
  /** The house's reporter: log and metrics. */
  report(event: HouseEvent): void;
}

/** Makes the configuration's root directory, which is empty, of a backup. Throws AdminError for what cannot be restored. */
export type RestoreStore = (config: Config, directory: string, version: string) => AsyncIterable<RestoreStep>;

export type OpenStore = (config: Config, version: string) => Promise<{ readonly admin: Admin; close(): Promise<void> }>;

/** What a command yields: 0, 1 (a fault), 2 (wrong usage), 3 (`check`: an upstream failed). */
export type ExitCode = 0 | 1 | 2 | 3;
