/**
 * The data directory cannot be used; `message` is one line that says what to do. `layout`: what is in it is not ours to
 * touch, and the program must stop. `disk`: the disk refused (`code` is its error's), which may pass.
 */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly reason: 'layout' | 'disk';
  readonly code: string | undefined;

  constructor(reason: 'layout' | 'disk', message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.code = codeOf(cause);
  }
}

/** Says of the disk's error what it means for `root`, and what to do about it. */
export function asDataDirectoryError(root: string, error: unknown): DataDirectoryError {
  if (error instanceof DataDirectoryError) return error;
  const cause = error instanceof Error ? error.message : String(error);
  return new DataDirectoryError(
    'disk',
    `the data directory ${root} cannot be used: ${adviceFor(root, codeOf(error))} (${cause})`,
    error,
  );
}

function adviceFor(root: string, code: string | undefined): string {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `uid ${uid} may not write there; run: chown -R ${uid}:${gid} ${root}`;
    case 'EROFS':
      return 'it is mounted read-only; mount it read-write';
    case 'EXDEV':
      return `${root}/entrepot/parts and ${root}/entrepot/blobs must be on one file system; mount one volume at ${root}`;
    case 'ENOSPC':
    case 'EDQUOT':
      return 'its disk is full (bytes, inodes or quota); make room';
    case 'ENOTDIR':
    case 'EEXIST':
      return 'a file stands in the place of a directory; move it away';
    case 'EMFILE':
    case 'ENFILE':
      return 'no descriptor is left; raise the limit of open files (ulimit -n)';
    default:
      return 'the disk failed; see its log (dmesg)';
  }
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
