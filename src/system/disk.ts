/**
 * The file system, as a port: the only way to files, so that the simulator can tear what was not made durable and tests
 * can fail the nth call. Wide on purpose (architecture.md); nothing outside `system/` imports node:fs.
 *
 * Failures reject with Node's own errors, `code` set (`ENOSPC`, `EIO`, `EMFILE` …). Absence is a value where it says so.
 */
export interface Disk {
  /**
   * Opens a file. `read`: what exists, for reading. `create`: a new file for reading and writing, EEXIST if there is one.
   * `update`: an existing file for reading and writing. `append`: for writing at its end, made where there is none, for nobody
   * but its owner to read. `undefined` when `read` or `update` find nothing.
   */
  open(path: string, mode: 'read' | 'create' | 'update' | 'append'): Promise<OpenFile | undefined>;
  /** Makes a directory and those above it; no error if it exists. `private`: one that is made is for its owner alone. */
  makeDirectory(path: string, access?: 'private'): Promise<void>;
  /** Makes the directory's entries (creations, renames, removals in it) durable, as far as its file system can. */
  syncDirectory(path: string): Promise<void>;
  /** Atomic; replaces the target. Durable only after both directories are synced. */
  rename(from: string, to: string): Promise<void>;
  /**
   * A second name for a file (a hard link): durable after the new name's directory is synced. False where none can be made of
   * it: another file system, one without such links, a file that this user may not link, or too many names. EEXIST if `to`
   * is there, ENOENT if `from` is not. A symbolic link is not followed: see `isFile`.
   */
  link(from: string, to: string): Promise<boolean>;
  /** A regular file under this very name: a symbolic link to one is none. False where nothing is. */
  isFile(path: string): Promise<boolean>;
  /** False when there was nothing to remove. Open files read on. */
  unlink(path: string): Promise<boolean>;
  /** ENOTEMPTY unless it is empty; no error when nothing is there. */
  removeDirectory(path: string): Promise<void>;
  /** Names of the entries, in no order; empty when the directory does not exist. */
  list(path: string): Promise<string[]>;
  /** Of what a link leads to; `undefined` when nothing is there. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Room on the file system that holds `path`. */
  space(path: string): Promise<DiskSpace>;
}

export interface FileStat {
  readonly size: number;
  /** When its bytes were last written, ms since the epoch. */
  readonly modified: number;
  /** When its bytes, its name or its links last changed, ms since the epoch: nobody sets this but the system. */
  readonly changed: number;
  /** Names the file itself, whatever its name, among all that its file system has now. */
  readonly inode: number;
  /** Names that stand for it; 0 once it was removed while it is open. */
  readonly links: number;
  readonly directory: boolean;
  /** A regular one. Neither this nor a directory: a pipe, a socket, a device. */
  readonly file: boolean;
}

export interface DiskSpace {
  /** Bytes that this process may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** 0 total means that the file system does not count inodes. */
  readonly freeInodes: number;
  readonly totalInodes: number;
}

export interface OpenFile {
  /** Reads into the whole of `into` from `position`; yields the count, 0 at the end of the file. May be short. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `bytes` at `position`, or rejects. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  size(): Promise<number>;
  stat(): Promise<FileStat>;
  truncate(size: number): Promise<void>;
  /** Makes contents and size durable. After a rejection nothing may be believed of the file: discard it. */
  sync(): Promise<void>;
  /** Waits for calls under way, then gives the descriptor back. Once; later calls are harmless, later reads and writes EBADF. */
  close(): Promise<void>;
}
