import type { Clock } from './clock.ts';
import type { Disk, FileStat } from './disk.ts';

/** A file's text as it is now, or why it is not known, with the last that was. */
export interface TextNow {
  /** `undefined`: it was never read. */
  readonly text: string | undefined;
  /** `ENOENT`, `EACCES`, `EFBIG`; `empty`, as it is while somebody writes it; `no file`; `undefined`: none. */
  readonly trouble: string | undefined;
}

export interface TextFileDeps {
  readonly disk: Disk;
  readonly clock: Clock;
}

/** What is kept by hand is small; more is a mistake. */
const BYTES_MAX = 1_048_576;
/** A file system may count whole seconds: what looks unchanged is read again after this. */
const BELIEVED_MS = 10_000;

interface Seen {
  readonly text: string;
  readonly stat: FileStat;
  readonly atMs: number;
}

/**
 * A small file of text that is read again when it changes: each call looks at its time and size, through whatever links lead
 * there (Kubernetes swaps one in the middle, reliability.md S52). Never rejects.
 */
export function textFile(path: string, { disk, clock }: TextFileDeps): () => Promise<TextNow> {
  let seen: Seen | undefined;
  return async () => {
    try {
      const stat = await disk.stat(path);
      if (stat === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      const believed = seen !== undefined && isAsSeen(seen.stat, stat) && clock.monotonic() - seen.atMs < BELIEVED_MS;
      if (believed) return { text: seen?.text, trouble: undefined };
      const text = await read(disk, path, stat);
      if (text.trim() === '') throw Object.assign(new Error('empty'), { code: 'empty' });
      seen = { text, stat, atMs: clock.monotonic() };
      return { text, trouble: undefined };
    } catch (error) {
      return { text: seen?.text, trouble: String((error as { code?: unknown }).code ?? 'unknown') };
    }
  };
}

/** Only the system sets `changed`: a copy that keeps times shows there. */
function isAsSeen(seen: FileStat, stat: FileStat): boolean {
  return (['modified', 'changed', 'size', 'inode'] as const).every((field) => seen[field] === stat[field]);
}

async function read(disk: Disk, path: string, { file, size }: FileStat): Promise<string> {
  if (!file || size > BYTES_MAX) throw Object.assign(new Error('no small file'), { code: file ? 'EFBIG' : 'no file' });
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
