import type { Clock } from '../../src/system/clock.ts';
import type { Disk, OpenFile } from '../../src/system/disk.ts';
import type { MaybePromise, MetadataStore } from '../../src/metadata/metadata-store.ts';
import { MetadataUnavailable } from '../../src/metadata/unavailable.ts';
import type { Machine } from './machine.ts';

/**
 * One process's life on a machine: the ports that it is given. When it ends, its timers are gone, its calls never return, and
 * its files are closed, so that nothing of it can touch what comes after it.
 */
export interface Life {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly metadata: MetadataStore;
  readonly isOver: () => boolean;
  /** Timers set, neither fired nor cancelled. */
  readonly timers: () => number;
  /** Calls of a slow disk or store that have not begun. */
  readonly delayed: () => number;
  /** Reads of the metadata so far. */
  readonly metadataReads: () => number;
  /** Calls on behalf of this life pass through here: what an upstream answers to the dead is not heard. */
  guard<T>(work: Promise<T>): Promise<T>;
  end(): void;
}

export function beginLife(machine: Machine): Life {
  const timers = new Set<{ cancel(): void }>();
  const files = new Set<OpenFile>();
  let over = false;
  let reads = 0;
  let delayed = 0;

  function end(): void {
    over = true;
    for (const timer of timers) timer.cancel();
    timers.clear();
    for (const file of files) void file.close();
    files.clear();
  }

  /** Before a call takes effect: it takes its time, and the power may go. */
  async function enter(): Promise<void> {
    const ms = delayOf(machine);
    if (ms > 0 && !over) {
      delayed += 1;
      await new Promise<void>((resolve) => machine.clock.after(ms, resolve));
      delayed -= 1;
    }
    if (over) return never();
    machine.calls += 1;
    machine.callsLeft -= 1;
    if (machine.callsLeft >= 0) return undefined;
    end();
    return never();
  }

  function guard<T>(work: Promise<T>): Promise<T> {
    return work.then(
      (value) => (over ? never<T>() : value),
      (error: unknown) => (over ? never<T>() : Promise.reject(error as Error)),
    );
  }

  function call<T>(work: () => Promise<T>): Promise<T> {
    return guard(enter().then(work));
  }

  function toFile(file: OpenFile): OpenFile {
    files.add(file);
    return {
      read: (into, position) => call(() => file.read(into, position)),
      write: (bytes, position) => call(() => file.write(bytes, position)),
      size: () => call(() => file.size()),
      stat: () => call(() => file.stat()),
      truncate: (size) => call(() => file.truncate(size)),
      sync: () => call(() => file.sync()),
      close: () => guard(file.close().then(() => void files.delete(file))),
    };
  }

  const { disk } = machine;
  return {
    clock: {
      now: machine.clock.now,
      monotonic: machine.clock.monotonic,
      after(ms, callback) {
        if (over) return { cancel: () => undefined };
        const timer = machine.clock.after(ms, () => {
          timers.delete(timer);
          callback();
        });
        timers.add(timer);
        return {
          cancel() {
            timers.delete(timer);
            timer.cancel();
          },
        };
      },
    },
    disk: {
      open: (path, mode) =>
        call(async () => {
          const file = await disk.open(path, mode);
          if (over) void file?.close();
          return file && toFile(file);
        }),
      makeDirectory: (path) => call(() => disk.makeDirectory(path)),
      syncDirectory: (path) => call(() => disk.syncDirectory(path)),
      rename: (from, to) => call(() => disk.rename(from, to)),
      link: (from, to) => call(() => disk.link(from, to)),
      isFile: (path) => call(() => disk.isFile(path)),
      unlink: (path) => call(() => disk.unlink(path)),
      removeDirectory: (path) => call(() => disk.removeDirectory(path)),
      list: (path) => call(() => disk.list(path)),
      stat: (path) => call(() => disk.stat(path)),
      space: (path) => call(() => disk.space(path)),
    },
    metadata: livingMetadata(machine, { call, guard, isOver: () => over, onRead: () => void (reads += 1) }),
    isOver: () => over,
    delayed: () => delayed,
    timers: () => timers.size,
    metadataReads: () => reads,
    guard,
    end,
  };
}

interface Living {
  readonly call: <T>(work: () => Promise<T>) => Promise<T>;
  readonly guard: <T>(work: Promise<T>) => Promise<T>;
  readonly isOver: () => boolean;
  readonly onRead: () => void;
}

/** Reads are free of the power's counting: they leave nothing behind. */
function livingMetadata(machine: Machine, { call, guard, isOver, onRead }: Living): MetadataStore {
  const { metadata } = machine;
  function read<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    onRead();
    if (isOver()) return never<T>();
    if (isLostBefore(machine)) return refuse(machine);
    const value = work();
    return value instanceof Promise ? guard(value) : value;
  }
  async function change<T>(work: () => Promise<T>): Promise<T> {
    if (isLostBefore(machine)) throw new MetadataUnavailable('the simulated metadata are down');
    const value = await call(work);
    if (machine.metadataHealth === 'lossy' && machine.dice.chance(0.2)) throw new MetadataUnavailable('the answer was lost');
    return value;
  }
  return {
    get: (slot, key) => read(() => metadata.get(slot, key)),
    list: (slot, collection, after, limit) => read(() => metadata.list(slot, collection, after, limit)),
    entries: () => metadata.entries(),
    commit: (slot, changes, conditions) => change(() => metadata.commit(slot, changes, conditions)),
    flushed: () => change(() => metadata.flushed()),
    ping: () => change(() => metadata.ping()),
    close: () => call(() => metadata.close()),
  };
}

/** LMDB throws at once, Redis rejects later. */
function refuse<T>({ flavour }: Machine): Promise<T> {
  const error = new MetadataUnavailable('the simulated metadata are down');
  if (flavour === 'lmdb') throw error;
  return Promise.reject(error);
}

function isLostBefore({ metadataHealth, dice }: Machine): boolean {
  return metadataHealth === 'down' || (metadataHealth === 'lossy' && dice.chance(0.2));
}

function delayOf({ tempo, dice }: Machine): number {
  if (tempo === 'instant') return 0;
  if (tempo === 'slow' && dice.chance(0.05)) return dice.between(100, 2_000);
  return dice.chance(0.25) ? dice.between(1, 8) : 0;
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
