/** One challenge of `WWW-Authenticate` (RFC 9110 11.6.1). */
export interface Challenge {
  /** Lower-case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By lower-case name; the first of a repeated one. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Longer headers are cut here before anybody reads them. */
const HEADER_LENGTH_MAX = 16 * 1024;

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/y;
const SPACE = /[ \t]*/y;

/**
 * Every challenge of one header, or of several lines of it. Quoted and bare values, commas inside quotes, several challenges
 * in one line; what breaks the grammar is skipped up to the next comma. Linear in the text's length.
 */
export function parseChallenges(header: string | readonly string[]): Challenge[] {
  const lines = typeof header === 'string' ? [header] : header;
  return lines.flatMap((line) => new ChallengeReader(line.slice(0, HEADER_LENGTH_MAX)).read());
}

/** The one to answer: Bearer before Basic before none. */
export function chooseChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges.find(({ scheme }) => scheme === 'basic');
}

class ChallengeReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Challenge[] {
    const challenges: Challenge[] = [];
    let parameters: Record<string, string> | undefined;
    while (this.#at < this.#text.length) {
      this.#take(SPACE);
      const name = this.#take(TOKEN)?.toLowerCase();
      if (name === undefined) {
        this.#skipElement();
        continue;
      }
      this.#take(SPACE);
      if (this.#text[this.#at] === '=' && parameters !== undefined) {
        this.#at += 1;
        const value = this.#value();
        if (value !== undefined && !Object.hasOwn(parameters, name)) parameters[name] = value;
        this.#skipElement();
        continue;
      }
      parameters = Object.create(null) as Record<string, string>;
      challenges.push({ scheme: name, parameters });
      // A scheme is followed by its first parameter without a comma, by a token68, or by nothing.
      if (this.#take(TOKEN68) !== undefined || this.#text[this.#at] === ',') this.#skipElement();
    }
    return challenges;
  }

  #value(): string | undefined {
    this.#take(SPACE);
    return this.#text[this.#at] === '"' ? this.#quoted() : this.#bare();
  }

  /** RFC 9110 5.6.4. */
  #quoted(): string | undefined {
    let value = '';
    for (this.#at += 1; this.#at < this.#text.length; this.#at += 1) {
      const character = this.#text[this.#at];
      if (character === '"') {
        this.#at += 1;
        return value;
      }
      if (character === '\\') this.#at += 1;
      value += this.#text[this.#at] ?? '';
    }
    return undefined;
  }

  /** Some registries leave out the quotes even around URLs, which are no tokens. */
  #bare(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !/[\s,]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  /** To behind the next comma that no quotes hold. */
  #skipElement(): void {
    while (this.#at < this.#text.length && this.#text[this.#at] !== ',') {
      if (this.#text[this.#at] === '"') this.#quoted();
      else this.#at += 1;
    }
    this.#at += 1;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }
}
