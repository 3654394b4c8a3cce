import type { OpenFile } from './disk.ts';

/** Reads from `position` on until `into` is full or the file ends; yields how many bytes came. One read may give fewer. */
export async function readFully(from: Pick<OpenFile, 'read'>, into: Uint8Array, position = 0): Promise<number> {
  let at = 0;
  while (at < into.byteLength) {
    const count = await from.read(into.subarray(at), position + at);
    if (count === 0) break;
    at += count;
  }
  return at;
}
