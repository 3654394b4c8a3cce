import { posix } from 'node:path';
import type { Disk, DiskSpace, FileStat, OpenFile } from '../../src/system/disk.ts';
import type { Random } from '../../src/system/random.ts';
import { MemoryFile } from './memory-file.ts';
import { MemoryTree } from './memory-tree.ts';

/** Every call that a disk can be made to fail, by the port's own names. */
export type DiskOperation = keyof Disk | Exclude<keyof OpenFile, 'close'>;

export interface DiskCall {
  readonly operation: DiskOperation;
  readonly path: string;
  /** Of a rename: the new name. */
  readonly to?: string;
}

/** Which calls go wrong, and how. */
export interface Fault {
  readonly on: DiskOperation;
  /** Only these; without it all calls of the operation. */
  readonly when?: (call: DiskCall) => boolean;
  /** Only the nth of those, counted from 1 when the fault was set; without it every one. */
  readonly nth?: number;
  /** The error's code, `EIO`, `ENOSPC`, `EMFILE` …; or, for `read`, the most bytes that it yields. */
  readonly as: string | { readonly short: number };
}

/**
 * A disk in memory that forgets, at a crash, what was not made durable, or keeps some of it: pages torn, names in any order.
 * One `MemoryDisk` is one machine's disk over its crashes; files opened before a crash are dead after it (EBADF).
 */
export interface MemoryDisk extends Disk {
  /** Sets a fault; the function lifts it. */
  fail(fault: Fault): () => void;
  /** After `count` more successful calls every call fails without effect (code `EPOWER`), until `crash`. */
  stopAfter(count: number): void;
  /** The power goes and comes back. Lifts all faults. */
  crash(options: { readonly random: Random }): void;
  /** What is there now, by path, without any call. */
  peek(): ReadonlyMap<string, Uint8Array>;
  /** Changes a file under everybody's feet; `undefined` takes it away. Nothing happens where none is. */
  meddle(path: string, bytes: Uint8Array | undefined): void;
  /** Paths (as opened) of the files open now, for leak checks: `expect(disk.openFiles()).toEqual([])`. */
  openFiles(): readonly string[];
  /** Calls that succeeded so far, of one operation or of all. */
  calls(operation?: DiskOperation): number;
}

export interface MemoryDiskOptions {
  /** Given: writes beyond it are ENOSPC. */
  readonly totalBytes?: number;
  /** For `modified`; without it always 0. */
  readonly now?: () => number;
}

export function createMemoryDisk(options: MemoryDiskOptions = {}): MemoryDisk {
  const tree = new MemoryTree();
  const faults = new Set<{ fault: Fault; seen: number }>();
  const counts = new Map<DiskOperation, number>();
  const open = new Map<OpenFile, { path: string; file: MemoryFile }>();
  const totalBytes = options.totalBytes ?? 2 ** 40;
  const now = options.now ?? ((): number => 0);
  let callsLeft = Infinity;

  /** Every call passes here once, in a later turn of the event loop's micro-tasks, as a real disk answers later. */
  async function enter(call: DiskCall): Promise<{ readonly short: number } | undefined> {
    await Promise.resolve();
    if (callsLeft <= 0) throw failure('EPOWER', call);
    const as = faultOf(faults, call);
    if (typeof as === 'string') throw failure(as, call);
    callsLeft--;
    counts.set(call.operation, (counts.get(call.operation) ?? 0) + 1);
    return as;
  }

  function statOf(file: MemoryFile): FileStat {
    const { size, modified, changed, inode } = file;
    const links = tree.files().filter((named) => named === file).length;
    return { size, modified, changed, inode, links, directory: false, file: true };
  }

  function parentMustExist(path: string, call: DiskCall): void {
    if (tree.get(posix.dirname(path)) !== 'directory') throw failure('ENOENT', call);
  }

  function usedBytes(): number {
    const files = new Set([...tree.files(), ...Array.from(open.values(), ({ file }) => file)]);
    return Array.from(files).reduce((sum, file) => sum + file.size, 0);
  }

  function create(path: string, call: DiskCall): MemoryFile {
    if (tree.get(path) !== undefined) throw failure('EEXIST', call);
    parentMustExist(path, call);
    const file = new MemoryFile(now());
    tree.change([path, file]);
    return file;
  }

  function toOpenFile(path: string, file: MemoryFile, writable: boolean): OpenFile {
    const underWay = new Set<Promise<unknown>>();
    let closing = false;

    function use<T>(operation: DiskOperation, work: (as: { readonly short: number } | undefined) => T): Promise<T> {
      const call = { operation, path };
      const denied = !writable && (operation === 'write' || operation === 'truncate');
      if (closing || denied) return Promise.reject(failure('EBADF', call));
      const running = enter(call).then((as) => {
        if (!open.has(handle)) throw failure('EBADF', call);
        return work(as);
      });
      underWay.add(running);
      const ended = (): void => void underWay.delete(running);
      running.then(ended, ended);
      return running;
    }
    function resize(operation: DiskOperation, size: number): void {
      if (options.totalBytes !== undefined && size > file.size && usedBytes() - file.size + size > totalBytes) {
        throw failure('ENOSPC', { operation, path });
      }
      file.modified = now();
      file.changed = now();
    }
    const handle: OpenFile = {
      read: (into, position) => use('read', (as) => file.read(as === undefined ? into : into.subarray(0, as.short), position)),
      write: (bytes, position) =>
        use('write', () => {
          resize('write', position + bytes.length);
          file.write(bytes, position);
        }),
      size: () => use('size', () => file.size),
      stat: () => use('stat', () => statOf(file)),
      truncate: (size) =>
        use('truncate', () => {
          resize('truncate', size);
          file.truncate(size);
        }),
      sync: () =>
        use('sync', () => file.sync()).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EPOWER' && error.code !== 'EBADF') file.failSync();
          throw error;
        }),
      async close() {
        closing = true;
        await Promise.allSettled(underWay);
        open.delete(handle);
      },
    };
    open.set(handle, { path, file });
    return handle;
  }

  return {
    async open(path, mode) {
      const call = { operation: 'open', path } as const;
      await enter(call);
      const made = mode === 'create' || (mode === 'append' && tree.get(path) === undefined);
      const found = made ? create(path, call) : tree.get(path);
      if (found === undefined) return undefined;
      if (found === 'directory') throw failure('EISDIR', call);
      return toOpenFile(path, found, mode !== 'read');
    },
    async makeDirectory(path) {
      const call = { operation: 'makeDirectory', path } as const;
      await enter(call);
      const missing: string[] = [];
      for (let at = path; tree.get(at) !== 'directory'; at = posix.dirname(at)) {
        if (tree.get(at) !== undefined) throw failure(at === path ? 'EEXIST' : 'ENOTDIR', call);
        missing.unshift(at);
      }
      for (const directory of missing) tree.change([directory, 'directory']);
    },
    async syncDirectory(path) {
      const call = { operation: 'syncDirectory', path } as const;
      await enter(call);
      if (tree.get(path) !== 'directory') throw failure('ENOENT', call);
      tree.sync(path);
    },
    async rename(from, to) {
      const call = { operation: 'rename', path: from, to } as const;
      await enter(call);
      const entry = tree.get(from);
      if (entry === undefined) throw failure('ENOENT', call);
      if (entry === 'directory' || tree.get(to) === 'directory') throw failure('EISDIR', call);
      parentMustExist(to, call);
      // rename(2): two names of one file stay as they are.
      if (tree.get(to) !== entry) tree.change([from, undefined], [to, entry]);
      entry.changed = now();
    },
    async link(from, to) {
      const call = { operation: 'link', path: from, to } as const;
      await enter(call);
      const entry = tree.get(from);
      if (entry === undefined) throw failure('ENOENT', call);
      if (entry === 'directory') return false;
      if (tree.get(to) !== undefined) throw failure('EEXIST', call);
      parentMustExist(to, call);
      tree.change([to, entry]);
      return true;
    },
    async isFile(path) {
      await enter({ operation: 'isFile', path });
      return ![undefined, 'directory'].includes(tree.get(path) as undefined);
    },
    async unlink(path) {
      const call = { operation: 'unlink', path } as const;
      await enter(call);
      const entry = tree.get(path);
      if (entry === undefined) return false;
      if (entry === 'directory') throw failure('EISDIR', call);
      tree.change([path, undefined]);
      return true;
    },
    async removeDirectory(path) {
      const call = { operation: 'removeDirectory', path } as const;
      await enter(call);
      const entry = tree.get(path);
      if (entry === undefined) return;
      if (entry !== 'directory') throw failure('ENOTDIR', call);
      if (tree.names(path).length > 0) throw failure('ENOTEMPTY', call);
      tree.change([path, undefined]);
    },
    async list(path) {
      const call = { operation: 'list', path } as const;
      await enter(call);
      return tree.names(path);
    },
    async stat(path) {
      await enter({ operation: 'stat', path });
      const entry = tree.get(path);
      if (entry === undefined) return undefined;
      if (entry === 'directory') {
        return { size: 0, modified: 0, changed: 0, inode: 0, links: 2, directory: true, file: false };
      }
      return statOf(entry);
    },
    async space(path): Promise<DiskSpace> {
      await enter({ operation: 'space', path });
      return { freeBytes: Math.max(0, totalBytes - usedBytes()), totalBytes, freeInodes: 0, totalInodes: 0 };
    },
    fail(fault) {
      const set = { fault, seen: 0 };
      faults.add(set);
      return () => void faults.delete(set);
    },
    stopAfter(count) {
      callsLeft = count;
    },
    crash({ random }) {
      callsLeft = Infinity;
      faults.clear();
      open.clear();
      tree.crash(random);
      for (const file of new Set(tree.files())) file.crash(random);
    },
    peek: () => new Map(tree.entries().flatMap(([path, entry]) => (entry === 'directory' ? [] : [[path, entry.peek()]]))),
    meddle(path, bytes) {
      const entry = tree.get(path);
      if (entry === undefined || entry === 'directory') return;
      if (bytes === undefined) return tree.change([path, undefined]);
      entry.truncate(0);
      entry.write(bytes, 0);
      entry.modified = now();
      entry.changed = now();
    },
    openFiles: () => Array.from(open.values(), ({ path }) => path),
    calls: (operation) => (operation === undefined ? sum(counts.values()) : (counts.get(operation) ?? 0)),
  };
}

/** The first fault that strikes this call; every fault counts it. */
function faultOf(faults: Iterable<{ fault: Fault; seen: number }>, call: DiskCall): Fault['as'] | undefined {
  let found: Fault['as'] | undefined;
  for (const set of faults) {
    if (set.fault.on !== call.operation || set.fault.when?.(call) === false) continue;
    set.seen++;
    if (set.fault.nth === undefined || set.fault.nth === set.seen) found ??= set.fault.as;
  }
  return found;
}

function failure(code: string, call: DiskCall): Error {
  const { operation, path, to } = call;
  return Object.assign(new Error(`${code}: ${operation} '${path}'${to === undefined ? '' : ` -> '${to}'`}`), { code, path });
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
