import type { Fault } from './fault.ts';
import type { Entry, Place, Section, Tree } from './tree.ts';

export type Path = readonly (string | number)[];

/** `routes[0].match`. */
export function printPath(path: Path): string {
  return path.reduce<string>((printed, part) => {
    if (typeof part === 'number') return `${printed}[${part}]`;
    const name = /^[\w-]+$/.test(part) ? part : JSON.stringify(part);
    return printed === '' ? name : `${printed}.${name}`;
  }, '');
}

/** A fault at a place; what the environment said goes by its variable. */
export function faultAt(at: Place, path: Path, expected: string, suggestion?: string): Fault {
  const hint = suggestion === undefined ? {} : { suggestion };
  return { file: at.file, line: at.line, column: at.column, key: at.variable ?? printPath(path), expected, ...hint };
}

/** What stands at `path`; `undefined` if nothing does. */
export function treeAt(tree: Tree, path: Path): Tree | undefined {
  return path.reduce<Tree | undefined>((here, part) => childOf(here, part), tree);
}

/** Where the value at `path` stands, or what is nearest above it; with `key`, where its name stands. */
export function placeAt(tree: Tree, path: Path, part: 'value' | 'key' = 'value'): Place {
  const last = path.at(-1);
  const parent = path.length === 0 ? undefined : treeAt(tree, path.slice(0, -1));
  if (part === 'key' && parent?.kind === 'section') {
    const entry = parent.entries.get(String(last));
    if (entry !== undefined) return entry.keyAt;
  }
  const value = treeAt(tree, path);
  if (value !== undefined) return value.at;
  return path.length === 0 ? tree.at : placeAt(tree, path.slice(0, -1), 'key');
}

/** `path` as it is written: an item of a list that is a single value is that value. */
export function writtenPath(tree: Tree, path: Path): Path {
  const parent = treeAt(tree, path.slice(0, -1));
  return parent?.kind === 'scalar' && typeof path.at(-1) === 'number' ? path.slice(0, -1) : path;
}

/** Every path of the tree that `pattern` names, `*` being any key or item. */
export function pathsLike(tree: Tree, pattern: readonly string[]): Path[] {
  const [first, ...rest] = pattern;
  if (first === undefined) return [[]];
  return childrenOf(tree)
    .filter(([name]) => first === '*' || first === name)
    .flatMap(([name, child]) => pathsLike(child, rest).map((below) => [name, ...below]));
}

export function childrenOf(tree: Tree): (readonly [string | number, Tree])[] {
  if (tree.kind === 'section') return [...tree.entries].map(([name, entry]) => [name, entry.value] as const);
  return tree.kind === 'list' ? tree.items.map((item, index) => [index, item] as const) : [];
}

/** Takes out what stands at `path`; an item of a list leaves the others where they are. */
export function removeAt(tree: Tree, path: Path): void {
  const parent = treeAt(tree, path.slice(0, -1));
  if (parent?.kind === 'section') parent.entries.delete(String(path.at(-1)));
}

/** Plain values for the schema: texts, lists, records. An empty value is as if its key were not there. */
export function plain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.text;
  if (tree.kind === 'list') return tree.items.map((item) => plain(item));
  const known = [...tree.entries].map(([name, entry]) => [name, plain(entry.value)] as const);
  return Object.fromEntries(known.filter(([, value]) => value !== undefined));
}

/** True for an empty value, and for sections and lists that hold nothing else. */
export function isEmpty(tree: Tree): boolean {
  return tree.kind === 'scalar'
    ? tree.text === undefined || tree.text === ''
    : childrenOf(tree).every(([, child]) => isEmpty(child));
}

export function sectionOf(at: Place, entries: readonly (readonly [string, Entry])[] = []): Section {
  return { kind: 'section', at, entries: new Map(entries) };
}

function childOf(tree: Tree | undefined, part: string | number): Tree | undefined {
  if (tree?.kind === 'section') return tree.entries.get(String(part))?.value;
  return tree?.kind === 'list' ? tree.items[Number(part)] : undefined;
}
