import { CommandFault } from './fault.ts';

/** What the user types, or what is piped in. */
export interface Keyboard {
  /** True when a person types. */
  readonly interactive: boolean;
  /** One line, which is not shown while it is typed. Rejects with CommandFault when it is broken off. */
  ask(prompt: string): Promise<string>;
  /** Everything, to its end. Rejects with CommandFault where that is more than `bytesMax`. */
  readAll(bytesMax: number): Promise<string>;
}

/** The parts of a terminal, or of any stream, that are needed. */
export type KeyboardInput = NodeJS.ReadableStream & {
  readonly isTTY?: boolean;
  setRawMode?(mode: boolean): unknown;
};

export function createKeyboard(input: () => KeyboardInput, show: (text: string) => void): Keyboard {
  return {
    get interactive() {
      return input().isTTY === true;
    },
    ask: (prompt) => askHidden(input(), show, prompt),
    async readAll(bytesMax) {
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of input()) {
        const piece = Buffer.from(chunk);
        bytes += piece.length;
        if (bytes > bytesMax) throw new CommandFault(`stdin has more than ${bytesMax} bytes: give the password alone`);
        chunks.push(piece);
      }
      return Buffer.concat(chunks).toString('utf8');
    },
  };
}

const [CTRL_C, CTRL_D, BACKSPACE, CTRL_U, ESCAPE, DELETE] = [3, 4, 8, 21, 27, 127];

/** Raw mode shows nothing, and leaves what the terminal would do to us. */
function askHidden(input: KeyboardInput, show: (text: string) => void, prompt: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed: number[] = [];
    const end = (settle: () => void): void => {
      input.off('data', onData);
      input.off('end', onEnd);
      show('\n');
      input.setRawMode?.(false);
      input.pause();
      settle();
    };
    const onEnd = (): void => end(() => reject(new CommandFault('nothing was typed')));
    const onData = (chunk: Buffer | string): void => {
      const bytes = Buffer.from(chunk as Buffer);
      for (const [at, byte] of bytes.entries()) {
        if (byte === CTRL_C) return end(() => reject(new CommandFault('broken off')));
        if (byte === CTRL_D && typed.length === 0) return onEnd();
        if (byte === 10 || byte === 13 || byte === CTRL_D) {
          const rest = bytes.subarray(at + (byte === 13 && bytes[at + 1] === 10 ? 2 : 1));
          return end(() => {
            // What was pasted behind the line is the answer to the next question.
            if (rest.length > 0) input.unshift(rest);
            resolve(Buffer.from(typed).toString('utf8'));
          });
        }
        // Arrows and the like come in one piece.
        if (byte === ESCAPE) return;
        if (byte === CTRL_U) typed = [];
        else if (byte === BACKSPACE || byte === DELETE) typed = withoutLast(typed);
        else if (byte >= 32) typed.push(byte);
      }
    };
    // Before the prompt, at which people begin to type.
    input.setRawMode?.(true);
    show(prompt);
    input.on('data', onData);
    input.on('end', onEnd);
    input.resume();
  });
}

/** A character of UTF-8 is a byte and those that go on with it. */
function withoutLast(typed: readonly number[]): number[] {
  let length = typed.length - 1;
  while (length > 0 && ((typed[length] ?? 0) & 0xc0) === 0x80) length -= 1;
  return typed.slice(0, Math.max(0, length));
}
