import { EventEmitter } from 'node:events';
import type { Admin } from '../../../src/admin/admin.ts';
import type { Proof } from '../../../src/admin/prove.ts';
import type { CommandContext, RunningServer, StartServer, Workers } from '../../../src/commands/context.ts';
import { run } from '../../../src/commands/program.ts';
import type { Config } from '../../../src/config/config.ts';
import type { HouseEvent } from '../../../src/observe/events.ts';
import { createFakeClock } from '../../fakes/fake-clock.ts';
import { createMemoryDisk } from '../../fakes/memory-disk.ts';

export const CONFIG = `
version: 0.1
http: { addr: 127.0.0.1:5000 }
storage: { filesystem: { rootdirectory: /data } }
routes:
  - match: [docker.io/**, ghcr.io/**]
    name: hub
    upstreams: [origin]
`;

export interface Scene {
  readonly context: CommandContext;
  /** Runs `entrepot …` and yields its exit code with what it printed. */
  command(...args: string[]): Promise<{ exit: number; out: string; err: string }>;
  write(path: string, text: string): Promise<void>;
  readonly signals: EventEmitter;
  readonly exits: number[];
  /** On stdout so far, since the last command. */
  printed(): string;
  readonly reported: HouseEvent[];
  readonly reloads: Config[];
  /** Of the last server that was started. */
  readonly clock: ReturnType<typeof createFakeClock>;
}

export interface SceneParts {
  readonly startServer?: StartServer;
  readonly admin?: Partial<Admin>;
  readonly proofs?: readonly Proof[];
  readonly env?: Readonly<Record<string, string>>;
  /** Lines that a person types. */
  readonly typed?: readonly string[];
  /** What stands on stdin otherwise. */
  readonly piped?: string;
  readonly workers?: Partial<Workers>;
  /** False: there is no directory of that name. */
  readonly stored?: boolean;
}

/** A machine in memory on which commands run: files, signals, and a server that starts at once. */
export async function scene(parts: SceneParts = {}): Promise<Scene> {
  const disk = createMemoryDisk();
  const clock = createFakeClock();
  const signals = new EventEmitter();
  const printed = { out: '', err: '' };
  const exits: number[] = [];
  const reported: HouseEvent[] = [];
  const reloads: Config[] = [];
  const server: RunningServer = {
    addresses: { main: '127.0.0.1:5000' },
    reload: (config) => Promise.resolve(void reloads.push(config)).then(() => []),
    drain: () => Promise.resolve(),
    report: (event) => void reported.push(event),
  };
  const stream = Object.assign(new EventEmitter(), {
    writableLength: 0,
    destroyed: false,
    write: (text: string) => (printed.out += text),
  });
  const typed = [...(parts.typed ?? [])];
  const ask = (prompt: string): Promise<string> => {
    printed.err += prompt;
    return Promise.resolve(typed.shift() ?? '');
  };
  const context: CommandContext = {
    version: '1.2.3',
    env: parts.env ?? {},
    directory: '/work',
    clock,
    disk,
    terminal: {
      out: (text) => void (printed.out += text),
      err: (text) => void (printed.err += text),
      interactive: false,
      stream: stream as unknown as NodeJS.WriteStream,
    },
    keyboard: { interactive: parts.typed !== undefined, ask, readAll: () => Promise.resolve(parts.piped ?? '') },
    signals: {
      on(name, listener) {
        signals.on(name, listener);
        return () => void signals.off(name, listener);
      },
      exit: (code) => void exits.push(code),
    },
    startServer: parts.startServer ?? (() => Promise.resolve(server)),
    workers: {
      processors: () => 4,
      start: () => {
        throw new Error('no process is started here');
      },
      hold: () => () => undefined,
      primary: () => undefined,
      ...parts.workers,
    },
    actAsOwner: () => parts.stored !== false,
    openStore: () => Promise.resolve({ admin: { ...parts.admin } as Admin, close: () => Promise.resolve() }),
    restoreStore: () => {
      throw new Error('nothing is restored here');
    },
    proveUpstreams: () => Promise.resolve(parts.proofs ?? []),
  };
  const write = async (path: string, text: string): Promise<void> => {
    await disk.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    await disk.unlink(path);
    const file = await disk.open(path, 'create');
    await file?.write(Buffer.from(text), 0);
    await file?.close();
  };
  await write('/work/config.yml', CONFIG);
  return {
    context,
    async command(...args) {
      printed.out = '';
      printed.err = '';
      const exit = await run(args, context);
      return { exit, ...printed };
    },
    write,
    signals,
    exits,
    printed: () => printed.out,
    reported,
    reloads,
    clock,
  };
}
