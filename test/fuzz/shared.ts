/** What the worker has in hand, where whoever watches it can see it though the worker hangs or has died. */
export interface InHand {
  /** Before each input. */
  put(parser: number, input: string): void;
  /** Between inputs: nothing is in hand. */
  rest(): void;
  /** Goes up with each `put` and `rest`. */
  count(): number;
  /** `undefined`: nothing. */
  get(): { readonly parser: number; readonly input: string } | undefined;
}

const HEAD_BYTES = 16;

export function sharedFor(longest: number): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD_BYTES + longest);
}

/** Both sides make one over the same memory. */
export function inHand(memory: SharedArrayBuffer): InHand {
  const head = new Int32Array(memory, 0, HEAD_BYTES / 4);
  const bytes = Buffer.from(memory, HEAD_BYTES);
  return {
    put(parser, input) {
      Atomics.store(head, 1, parser + 1);
      Atomics.store(head, 2, bytes.write(input, 'latin1'));
      Atomics.add(head, 0, 1);
    },
    rest() {
      Atomics.store(head, 1, 0);
      Atomics.add(head, 0, 1);
    },
    count: () => Atomics.load(head, 0),
    get() {
      const parser = Atomics.load(head, 1) - 1;
      return parser < 0 ? undefined : { parser, input: bytes.toString('latin1', 0, Atomics.load(head, 2)) };
    },
  };
}
