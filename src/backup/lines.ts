import { createHash } from 'node:crypto';
import type { Disk } from '../system/disk.ts';

export interface WrittenLines {
  readonly lines: number;
  /** Of all bytes of the file, hex. */
  readonly sha256: string;
}

const CHUNK = 256 * 1024;

/** A new file with these lines; durable when it resolves, but for its name. */
export async function writeLines(disk: Disk, path: string, lines: AsyncIterable<string>): Promise<WrittenLines> {
  const file = await disk.open(path, 'create');
  if (file === undefined) throw new Error(`${path} was not created`);
  const hash = createHash('sha256');
  let [count, at, waiting] = [0, 0, ''];
  const write = async (): Promise<void> => {
    const bytes = Buffer.from(waiting);
    waiting = '';
    hash.update(bytes);
    await file.write(bytes, at);
    at += bytes.byteLength;
  };
  try {
    for await (const line of lines) {
      waiting += `${line}\n`;
      count += 1;
      if (waiting.length >= CHUNK) await write();
    }
    await write();
    await file.sync();
  } finally {
    await file.close();
  }
  return { lines: count, sha256: hash.digest('hex') };
}

/** Longer than any record: lists of upstreams are the longest, 4 MiB before they are written as JSON within JSON. */
const LINE_LENGTH_MAX = 64 * 1024 * 1024;

/** Lines of a file, however long it is. Throws where it is not there, and where a line would not fit into memory. */
export async function* readLines(disk: Disk, path: string, lengthMax = LINE_LENGTH_MAX): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of readChunks(disk, path)) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lengthMax) throw new Error(`${path} is damaged: it has a line of more than ${lengthMax} characters`);
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/** The hash of a file's bytes, hex. Throws where it is not there. */
export async function hashFile(disk: Disk, path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of readChunks(disk, path)) hash.update(bytes);
  return hash.digest('hex');
}

/** Each is overwritten by the next. */
async function* readChunks(disk: Disk, path: string): AsyncGenerator<Uint8Array> {
  const file = await disk.open(path, 'read');
  if (file === undefined) throw new Error(`${path} is missing`);
  try {
    const into = new Uint8Array(CHUNK);
    for (let at = 0, count = await file.read(into, 0); count > 0; count = await file.read(into, at)) {
      at += count;
      yield into.subarray(0, count);
    }
  } finally {
    await file.close();
  }
}
