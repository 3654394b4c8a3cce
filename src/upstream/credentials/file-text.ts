import type { Clock } from '../../system/clock.ts';
import type { Disk, FileStat } from '../../system/disk.ts';
import { CredentialsUnavailable } from '../credentials.ts';

/** The text of a file as it is now. */
export type FileText = () => Promise<string>;

export interface FileTextDeps {
  readonly disk: Disk;
  readonly clock: Clock;
}

/** Secrets are small; more is a mistake. */
const BYTES_MAX = 1_048_576;
/** A file system may count whole seconds: what looks unchanged is read again after this. */
const BELIEVED_MS = 10_000;

interface Seen {
  readonly text: string;
  readonly modified: number;
  readonly size: number;
  readonly atMs: number;
}

/**
 * A file that is read again when it changes: each call looks at its time and size, through whatever links lead there
 * (Kubernetes swaps one in the middle, reliability.md S52). While it cannot be read, or is empty because somebody is writing
 * it, the text before that stands. Rejects with CredentialsUnavailable when there is none.
 */
export function fileText(path: string, { disk, clock }: FileTextDeps): FileText {
  let seen: Seen | undefined;
  return async () => {
    try {
      const stat = await disk.stat(path);
      if (stat === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      if (seen !== undefined && isAsSeen(seen, stat) && clock.monotonic() - seen.atMs < BELIEVED_MS) return seen.text;
      const text = await read(disk, path, stat);
      if (text.trim() === '') throw Object.assign(new Error('empty'), { code: 'empty' });
      seen = { text, modified: stat.modified, size: stat.size, atMs: clock.monotonic() };
      return text;
    } catch (error) {
      if (seen !== undefined) return seen.text;
      throw new CredentialsUnavailable(`${path} cannot be read (${String((error as { code?: unknown }).code ?? 'unknown')})`);
    }
  };
}

/** A secret that stands in a file alone: the line end that editors leave is not part of it. */
export function fileSecret(path: string, deps: FileTextDeps): FileText {
  const text = fileText(path, deps);
  return async () => (await text()).replace(/\r?\n$/, '');
}

function isAsSeen(seen: Seen, stat: FileStat): boolean {
  return seen.modified === stat.modified && seen.size === stat.size;
}

async function read(disk: Disk, path: string, { file, size }: FileStat): Promise<string> {
  if (!file || size > BYTES_MAX) throw Object.assign(new Error('no secret'), { code: file ? 'EFBIG' : 'no file' });
  const open = await disk.open(path, 'read');
  if (open === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
  try {
    const bytes = Buffer.alloc(size + 1);
    let count = 0;
    for (;;) {
      const more = await open.read(bytes.subarray(count), count);
      count += more;
      if (more === 0 || count === bytes.length) break;
    }
    // It grew in the meantime, so that this is no whole text.
    if (count > size) throw Object.assign(new Error('it changes'), { code: 'EBUSY' });
    return bytes.toString('utf8', 0, count);
  } finally {
    await open.close();
  }
}
