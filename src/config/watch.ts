import { createHash } from 'node:crypto';

/** Tells one content of a file from another, without keeping it; a file that is not there has one too. */
export function fingerprint(text: string | undefined): string {
  return text === undefined ? 'absent' : createHash('sha256').update(text).digest('hex');
}

export interface WatchOptions {
  /** What the running configuration was read from; asked at every look, since a reload may name other files. */
  readonly watched: () => ReadonlyMap<string, string>;
  readonly readFile: (path: string, bytesMax: number) => Promise<string | undefined>;
  /** As `Clock.after`. */
  readonly after: (ms: number, callback: () => void) => { cancel(): void };
  readonly changed: () => Promise<void>;
  /** Between two looks, milliseconds. */
  readonly interval: number;
}

/** Ends it; harmless at any time. */
export interface Watch {
  close(): void;
}

const BYTES_MAX = 1_048_576;

/**
 * Looks at the contents of the watched files again and again. Not at events or times: a ConfigMap is a chain of links of
 * which one in the middle is swapped (reliability.md, S52), editors replace files by renaming, and network file systems
 * tell nothing. `changed` is called once a new content was seen twice in a row, so that no half-written file is read; and
 * again at each look until what is watched is what is there, so that a missing secret that turns up is noticed.
 */
export function watchFiles(options: WatchOptions): Watch {
  let pending: string | undefined;
  let timer: { cancel(): void } | undefined;
  let closed = false;
  const look = async (): Promise<void> => {
    const seen = await contents(options);
    if (closed) return;
    const fresh = seen !== running(options);
    if (fresh && seen === pending) await options.changed();
    pending = fresh ? seen : undefined;
    if (!closed) timer = options.after(options.interval, () => void look());
  };
  timer = options.after(options.interval, () => void look());
  return {
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}

function running({ watched }: WatchOptions): string {
  return [...watched()].map(([path, seen]) => `${path}\0${seen}`).join('\0');
}

async function contents({ watched, readFile }: WatchOptions): Promise<string> {
  const paths = [...watched().keys()];
  const seen = await Promise.all(paths.map(async (path) => `${path}\0${await contentOf(path, readFile)}`));
  return seen.join('\0');
}

/** A file that cannot be read counts as a content of its own: loading will say why. */
async function contentOf(path: string, readFile: WatchOptions['readFile']): Promise<string> {
  return readFile(path, BYTES_MAX).then(fingerprint, () => 'unreadable');
}
