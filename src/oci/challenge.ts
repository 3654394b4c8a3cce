/** One way in that a registry offers (RFC 9110 11.6.1). */
export interface Challenge {
  /** Lower-case: `bearer`, `basic` … */
  readonly scheme: string;
  /** By lower-case name, without quotes and escapes; the first of a name counts. Has no prototype (reliability.md, S26). */
  readonly parameters: Readonly<Record<string, string>>;
}

/** More are not looked at, nor are longer lines: Node takes 16 KiB of headers in all. */
const CHALLENGES_MAX = 32;
const LINE_LENGTH_MAX = 16_384;

/**
 * Every challenge of a `WWW-Authenticate`, given as one line or as several. Schemes and names in any case, values quoted
 * or not (some registries write a bare URL), several challenges in a line. What is not understood is passed over, in
 * linear time; never throws.
 */
export function parseChallenges(header: string | readonly string[]): Challenge[] {
  const lines = typeof header === 'string' ? [header] : header;
  return lines.flatMap((line) => (line.length > LINE_LENGTH_MAX ? [] : parseLine(line))).slice(0, CHALLENGES_MAX);
}

/** The one to answer: a Bearer that says where its tokens come from, else Basic; `undefined` when there is neither. */
export function chooseChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && (parameters['realm'] ?? '') !== '');
  return bearer ?? challenges.find(({ scheme }) => scheme === 'basic');
}

/** A way in that we offer. */
export type OwnChallenge =
  | { readonly scheme: 'Basic'; readonly realm: string }
  | {
      readonly scheme: 'Bearer';
      /** The token endpoint's address. */
      readonly realm: string;
      readonly service: string;
      /** Of {@link formatScope}, with spaces between. */
      readonly scope?: string;
      readonly error?: 'invalid_token' | 'insufficient_scope';
    };

/**
 * Our challenge as the strictest of parsers read it (protocol 2.1): the scheme spelt so, keys in lower case, all values quoted,
 * a comma and nothing else between. One of them splits a realm at `=`, so that ours has none; that of another token server stays
 * as it is written. What is in the way of quotes, or no visible ASCII, is percent-encoded in a Bearer's realm, and a space elsewhere.
 */
export function formatChallenge(challenge: OwnChallenge): string {
  if (challenge.scheme === 'Basic') return `Basic realm="${plain(challenge.realm).replaceAll('=', ' ')}"`;
  const { realm, service, scope, error } = challenge;
  const parts = [`realm="${realm.replace(NOT_PLAIN, percentEncoded)}"`, `service="${plain(service)}"`];
  if (scope !== undefined) parts.push(`scope="${plain(scope)}"`);
  if (error !== undefined) parts.push(`error="${error}"`);
  return `Bearer ${parts.join(',')}`;
}

/** Also the space: no realm that is an address has one. */
const NOT_PLAIN = /[^\x21\x23-\x5b\x5d-\x7e]/gu;

/** `encodeURIComponent` throws for half a surrogate pair. */
function percentEncoded(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('');
}

function plain(text: string): string {
  return text.replace(NOT_PLAIN, ' ');
}

interface Draft {
  readonly scheme: string;
  readonly parameters: Record<string, string>;
}

function parseLine(line: string): Challenge[] {
  const challenges: Draft[] = [];
  let at = skip(line, 0, LIST_SPACE);
  while (at < line.length && challenges.length <= CHALLENGES_MAX) {
    const word = readWhile(line, at, TOKEN);
    const afterWord = skip(line, word.end, SPACE);
    const current = challenges.at(-1);
    if (word.text === '') {
      at = behindComma(line, line[at] === '"' ? readQuoted(line, at + 1).end : at);
    } else if (line[afterWord] === '=' && current !== undefined) {
      const value = readValue(line, skip(line, afterWord + 1, SPACE));
      const name = word.text.toLowerCase();
      if (!(name in current.parameters)) current.parameters[name] = value.text;
      at = behindComma(line, value.end);
    } else if (line[afterWord] === '=') {
      at = behindComma(line, readValue(line, skip(line, afterWord + 1, SPACE)).end);
    } else {
      challenges.push({ scheme: word.text.toLowerCase(), parameters: Object.create(null) as Record<string, string> });
      at = skipToken68(line, afterWord);
    }
    at = skip(line, at, LIST_SPACE);
  }
  return challenges;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]/;
const TOKEN68 = /[A-Za-z0-9._~+/-]/;
const SPACE = /[ \t]/;
const LIST_SPACE = /[ \t,]/;
const BARE = /[^ \t,"]/;

interface Piece {
  readonly text: string;
  /** Where the next begins. */
  readonly end: number;
}

function readWhile(line: string, from: number, allowed: RegExp): Piece {
  const end = skip(line, from, allowed);
  return { text: line.slice(from, end), end };
}

function skip(line: string, from: number, allowed: RegExp): number {
  let at = from;
  while (at < line.length && allowed.test(line.charAt(at))) at += 1;
  return at;
}

function readValue(line: string, from: number): Piece {
  return line[from] === '"' ? readQuoted(line, from + 1) : readWhile(line, from, BARE);
}

/** RFC 9110 5.6.4. One that is never closed ends with the line. */
function readQuoted(line: string, from: number): Piece {
  const parts: string[] = [];
  let at = from;
  while (at < line.length && line[at] !== '"') {
    if (line[at] === '\\') at += 1;
    parts.push(line.charAt(at));
    at += 1;
  }
  return { text: parts.join(''), end: at + 1 };
}

/** `Negotiate dG9rZW4=`: what stands behind such a scheme is no parameter (RFC 9110 11.2). */
function skipToken68(line: string, from: number): number {
  const end = skip(line, skip(line, from, TOKEN68), /=/);
  const after = skip(line, end, SPACE);
  return after >= line.length || line[after] === ',' ? after : from;
}

/** To the next element of the list; what stands before it was not understood. */
function behindComma(line: string, from: number): number {
  const at = skip(line, from, SPACE);
  if (at >= line.length || line[at] === ',') return at;
  // Parameters without a comma between them: some servers write so.
  if (at > from && TOKEN.test(line.charAt(at))) return at;
  const comma = line.indexOf(',', at);
  return comma < 0 ? line.length : comma;
}
