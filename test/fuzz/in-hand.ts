import { closeSync, openSync, readSync, writeSync } from 'node:fs';

/** What a process has in hand, kept where whoever watches it can see it though the process hangs or is no more. */
export interface InHand {
  /** Before each input. */
  put(parser: number, input: string): void;
  /** Between inputs: nothing is in hand. */
  rest(): void;
  /** Goes up with each `put` and `rest`. */
  count(): number;
  /** `undefined`: nothing. */
  get(): { readonly parser: number; readonly input: string } | undefined;
  close(): void;
}

/** Count, parser (from 1; 0 is none), length; then the bytes. */
const HEAD_BYTES = 12;

/** In a file, which outlives whoever wrote it. */
export function inHand(path: string): InHand {
  const file = openSync(path, 'a+');
  closeSync(file);
  const descriptor = openSync(path, 'r+');
  const head = Buffer.alloc(HEAD_BYTES);
  let written = 0;
  const write = (parser: number, length: number): void => {
    written = (written + 1) >>> 0;
    head.writeUInt32LE(written, 0);
    head.writeUInt32LE(parser, 4);
    head.writeUInt32LE(length, 8);
    writeSync(descriptor, head, 0, HEAD_BYTES, 0);
  };
  const read = (): Buffer => {
    head.fill(0);
    readSync(descriptor, head, 0, HEAD_BYTES, 0);
    return head;
  };
  return {
    put(parser, input) {
      const bytes = Buffer.from(input, 'latin1');
      writeSync(descriptor, bytes, 0, bytes.byteLength, HEAD_BYTES);
      write(parser + 1, bytes.byteLength);
    },
    rest: () => write(0, 0),
    count: () => read().readUInt32LE(0),
    get() {
      const parser = read().readUInt32LE(4) - 1;
      if (parser < 0) return undefined;
      const bytes = Buffer.alloc(head.readUInt32LE(8));
      readSync(descriptor, bytes, 0, bytes.byteLength, HEAD_BYTES);
      return { parser, input: bytes.toString('latin1') };
    },
    close: () => closeSync(descriptor),
  };
}
