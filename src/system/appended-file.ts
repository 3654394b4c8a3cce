import type { Disk, OpenFile } from './disk.ts';

/** A file that only grows. Nobody but its owner may read it. */
export interface AppendedFile {
  /**
   * Puts text at its end, one call at a time; rejects with Node's own error. Where the file was moved away or removed (log
   * rotation) a new one is made under its name. After a call that wrote a part, the next begins on a line of its own.
   */
  append(text: string): Promise<void>;
  close(): Promise<void>;
}

/** Nothing is opened before the first text. */
export function createAppendedFile(disk: Pick<Disk, 'open' | 'stat'>, path: string): AppendedFile {
  let current: { readonly file: OpenFile; readonly inode: number } | undefined;
  let torn = false;

  async function opened(): Promise<OpenFile> {
    const named = await disk.stat(path);
    if (current !== undefined && named?.inode === current.inode) return current.file;
    await close();
    const file = await disk.open(path, 'append');
    if (file === undefined) throw Object.assign(new Error(`ENOENT: there is no ${path}`), { code: 'ENOENT' });
    current = { file, inode: (await file.stat()).inode };
    return file;
  }

  async function close(): Promise<void> {
    const before = current;
    current = undefined;
    torn = false;
    await before?.file.close();
  }

  return {
    close,
    async append(text) {
      const file = await opened();
      const size = await file.size();
      try {
        await file.write(Buffer.from(torn ? `\n${text}` : text), size);
        torn = false;
      } catch (error) {
        torn ||= (await file.size().catch(() => size)) > size;
        throw error;
      }
    },
  };
}
