/** Something that reads what a stranger has written, as the fuzzer drives it. */
export interface Parser {
  /** The name of its corpus file too. */
  readonly name: string;
  /** Functions of `src/` that see the input first: what `complete.test.ts` checks the list against. */
  readonly covers: readonly string[];
  /** Texts whose characters stand for bytes (Latin-1), as Node gives header fields. Made, where they are not in the corpus. */
  readonly seeds?: readonly string[];
  /** Words of its grammar. */
  readonly words: readonly string[];
  /** Longer input never comes to it. */
  readonly longest: number;
  /** What one input may take; default: {@link msMaxOf}. */
  readonly msMax?: number;
  /**
   * Reads `input` and yields the shape of what it found: an input with a new shape is kept and changed further. Throws for all that
   * must not happen, so that refusals which are meant are caught here.
   */
  read(input: string): string | Promise<string>;
}

/** A line or two of JavaScript for each byte, on a machine that does other things beside. */
export function msMaxOf({ msMax }: Parser, length: number): number {
  return msMax ?? 50 + length * 150e-6;
}

/** What the parser promises of everything that it lets through. */
export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`broken promise: ${what}`);
}

export function bytesOf(input: string): Buffer {
  return Buffer.from(input, 'latin1');
}

/** As text of a file. */
export function utf8Of(input: string): string {
  return bytesOf(input).toString('utf8');
}

/** What `read` yields, and the name of a refusal of one of `kinds`. */
export function orRefused<T>(
  read: () => T,
  kinds: readonly (abstract new (...args: never[]) => Error)[],
): { readonly found: T } | { readonly refused: string } {
  try {
    return { found: read() };
  } catch (error) {
    if (error instanceof Error && kinds.some((kind) => error instanceof kind)) return { refused: shapeOfError(error) };
    throw error;
  }
}

/** Words of a message change with its input; its code does not. */
export function shapeOfError(error: Error): string {
  const { code, status, reason } = error as { code?: unknown; status?: unknown; reason?: unknown };
  return ['refused', code, status, reason].filter((part) => part !== undefined).join(' ');
}

/** Header fields, one a line: `name: value`. */
export function fieldsOf(input: string): [string, string][] {
  return input.split('\n').map((line) => {
    const colon = line.indexOf(':');
    return colon < 0 ? ['', line] : [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
}
