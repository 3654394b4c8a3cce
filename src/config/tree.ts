import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node as YamlNode,
  type YAMLMap,
} from 'yaml';
import { ConfigError } from './fault.ts';
import { faultAt } from './tree-path.ts';

/** Where a key or value was written. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The variable, for what the environment said. */
  readonly variable?: string;
}

/** A configuration file as a tree that knows where each part stood. Scalars keep their text; `undefined` is an empty one. */
export type Tree = Scalar | Section | List;
export interface Scalar {
  readonly kind: 'scalar';
  readonly at: Place;
  text: string | undefined;
}
export interface Section {
  readonly kind: 'section';
  readonly at: Place;
  readonly entries: Map<string, Entry>;
}
export interface Entry {
  readonly keyAt: Place;
  readonly value: Tree;
}
export interface List {
  readonly kind: 'list';
  readonly at: Place;
  readonly items: Tree[];
}

/** More than any sane file has; what aliases stand for counts each time (so that a few lines cannot become gigabytes). */
const NODES_MAX = 50_000;
const DEPTH_MAX = 32;
const TOO_DEEP = `expected at most ${DEPTH_MAX} levels`;
export const FILE_BYTES_MAX = 1_048_576;

/**
 * Reads YAML 1.2 with merge keys; `source` is the file's name, or the one place that all of it is said to stand at.
 * Throws ConfigError for what is no YAML, has a key twice, or is beyond our limits.
 */
export function parseTree(text: string, source: string | Place): Tree {
  const start = typeof source === 'string' ? { file: source, line: 1, column: 1 } : source;
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) throw faultOf(start, 'expected a file of at most 1 MiB');
  const lines = new LineCounter();
  const place: Placer = typeof source === 'string' ? (offset) => placeOf(offset, lines, source) : () => source;
  const deep = tooDeepAt(text);
  if (deep !== undefined) throw faultOf(typeof source === 'string' ? { ...start, line: deep } : source, TOO_DEEP);
  const document = parseYaml(text, lines, start);
  const complaints = [...document.errors, ...document.warnings];
  if (complaints.length > 0) {
    throw new ConfigError(complaints.map((error) => faultAt(place(error.pos[0]), [], explain(error))));
  }
  if (document.contents === null) return { kind: 'scalar', at: start, text: undefined };
  return new Reader(document, place).read(document.contents, 0);
}

/** Where a character of the text stands. */
type Placer = (offset: number) => Place;

function faultOf(at: Place, expected: string): ConfigError {
  return new ConfigError([faultAt(at, [], expected)]);
}

/**
 * The line at which a text goes deeper than anybody writes; roughly, since brackets in texts and comments count too. The parser
 * recurses, and V8 ends the whole process, reload or not, where a regular expression has to be compiled at the end of the stack.
 */
function tooDeepAt(text: string): number | undefined {
  let [open, line] = [0, 1];
  for (const written of text.split('\n')) {
    for (const mark of written.replaceAll(NO_BRACKETS, '')) open = Math.max(0, open + (mark === '[' || mark === '{' ? 1 : -1));
    if (open > MARKS_MAX || DEEP_BLOCK.test(written)) return line;
    line += 1;
  }
  return undefined;
}

const MARKS_MAX = 250;
const NO_BRACKETS = /[^[\]{}]+/g;
const DEEP_BLOCK = /^[ \t?:-]{500}/;

function parseYaml(text: string, lines: LineCounter, start: Place): Document.Parsed {
  try {
    return parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false, stringKeys: false });
  } catch (error) {
    // The parser recurses: thousands of brackets overflow its stack.
    throw new ConfigError([faultAt(start, [], 'expected YAML that can be read')], { cause: error });
  }
}

const UNQUOTED = 'expected an alias of something that stands before it; a pattern that begins with * has to stand in quotes';

function explain(error: { readonly code: string; readonly message: string }): string {
  if (error.code === 'DUPLICATE_KEY') return 'expected each key once, but this one stands here a second time';
  if (error.code === 'BAD_ALIAS') return UNQUOTED;
  if (error.code === 'TAB_AS_INDENT') return 'not YAML: expected blanks, found a tab as indentation';
  if (error.code === 'MULTIPLE_DOCS') return 'expected one YAML document, but there are several';
  return `not YAML: ${error.message}`;
}

function placeOf(offset: number, lines: LineCounter, file: string): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(1, line), column: Math.max(1, col) };
}

/** Turns yaml's nodes into a tree, following aliases and merges under the limits. */
class Reader {
  readonly #document: Document.Parsed;
  readonly #place: Placer;
  #nodes = 0;

  constructor(document: Document.Parsed, place: Placer) {
    this.#document = document;
    this.#place = place;
  }

  read(node: YamlNode | null, depth: number, at: Place = this.#placeOf(node)): Tree {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX) throw faultOf(at, `expected at most ${NODES_MAX} values, aliases followed`);
    if (depth > DEPTH_MAX) throw faultOf(at, TOO_DEEP);
    if (isAlias(node)) return this.read(this.#resolve(node, at), depth + 1, at);
    if (isMap(node)) return { kind: 'section', at, entries: this.#entries(node, depth) };
    if (isSeq(node)) return { kind: 'list', at, items: node.items.map((item) => this.read(item as YamlNode, depth + 1)) };
    if (isScalar(node)) return { kind: 'scalar', at, text: textOf(node.value, node.source) };
    return { kind: 'scalar', at, text: undefined };
  }

  #entries(map: YAMLMap, depth: number): Map<string, Entry> {
    const own = new Map<string, Entry>();
    const merged: Tree[] = [];
    for (const { key, value } of map.items) {
      const keyAt = this.#placeOf(key as YamlNode);
      const name = this.#keyName(key, keyAt);
      const tree = this.read(value as YamlNode | null, depth + 1, value === null ? keyAt : undefined);
      if (name === '<<') merged.push(tree);
      else own.set(name, { keyAt, value: tree });
    }
    for (const source of merged) this.#merge(own, source);
    return own;
  }

  /** YAML's merge key: what is written here wins, and an earlier source wins over a later one. */
  #merge(own: Map<string, Entry>, source: Tree): void {
    if (source.kind === 'scalar') throw faultOf(source.at, 'expected << to name a section or a list of sections');
    if (source.kind === 'list') return source.items.forEach((item) => this.#merge(own, item));
    for (const [name, entry] of source.entries) if (!own.has(name)) own.set(name, entry);
  }

  #keyName(key: unknown, at: Place): string {
    const name = isScalar(key) ? textOf(key.value, key.source) : undefined;
    if (name === undefined || name === '__proto__') throw faultOf(at, 'expected a name as key');
    return name;
  }

  #resolve(node: YamlNode, at: Place): YamlNode {
    const target = isAlias(node) ? node.resolve(this.#document) : node;
    if (target === undefined) throw faultOf(at, UNQUOTED);
    return target as YamlNode;
  }

  #placeOf(node: YamlNode | null): Place {
    return this.#place(node?.range?.[0] ?? 0);
  }
}

/** The text as written, so that `0123` stays a password; nothing for an empty value or YAML's null. */
function textOf(value: unknown, source: string | undefined): string | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === 'string' ? value : (source ?? String(value));
}
