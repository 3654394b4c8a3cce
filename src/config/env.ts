import { ConfigError, type Fault } from './fault.ts';
import { describedSchema, type JsonSchema } from './json-schema.ts';
import { later } from './later.ts';
import { nearest } from './nearest.ts';
import { official } from './official.ts';
import { faultAt, sectionOf, type Path } from './tree-path.ts';
import { parseTree, type Place, type Section, type Tree } from './tree.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What Kubernetes sets for a Service whose name begins with `registry`: REGISTRY_PORT=tcp://…, REGISTRY_SERVICE_HOST … */
const SERVICE =
  /^REGISTRY_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

/** Says where the configuration is, not what it says. */
const NOT_OURS = new Set(['REGISTRY_CONFIGURATION_PATH']);

export interface Overrides {
  /** How many variables named something. */
  readonly applied: number;
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

/**
 * Writes the `REGISTRY_…` variables over `tree`: `REGISTRY_HTTP_ADDR` is `http.addr`, as in the official registry. Sections
 * are applied before what lies in them. A variable that names nothing is a warning.
 */
export function applyEnvironment(tree: Section, env: Environment): Overrides {
  const faults: Fault[] = [];
  const warnings: string[] = [];
  let applied = 0;
  for (const variable of ourVariables(env)) {
    const words = variable.slice('REGISTRY_'.length).toLowerCase().split('_');
    const found = locate(describedSchema(), tree, words, []);
    if (found === undefined) {
      warnings.push(unknown(variable));
      continue;
    }
    applied += 1;
    faults.push(...write(tree, found, variable, env[variable] ?? ''));
  }
  return { applied, faults, warnings };
}

function ourVariables(env: Environment): string[] {
  const names = Object.keys(env).filter((name) => name.startsWith('REGISTRY_') && env[name] !== undefined);
  return names.filter((name) => !NOT_OURS.has(name) && !SERVICE.test(name)).toSorted();
}

interface Found {
  readonly path: Path;
  /** What the schema says of it; `undefined` within keys that the schema does not hold. */
  readonly node: JsonSchema | undefined;
}

/** The key that the words of a variable name: sections and lists by the schema, the user's own names by what is written. */
function locate(node: JsonSchema | undefined, here: Tree | undefined, words: readonly string[], path: Path): Found | undefined {
  const [word, ...rest] = words;
  if (word === undefined) return { path, node };
  if (word === '') return undefined;
  if (node === undefined) return { path: [...path, ...words], node: undefined };
  const children = node.properties ?? node.anyOf?.find(({ properties }) => properties !== undefined)?.properties;
  if (children !== undefined) {
    const child = Object.hasOwn(children, word) ? children[word] : undefined;
    if (child === undefined && !isSpokenOf([...path, word])) return undefined;
    return locate(child, entryOf(here, word), rest, [...path, word]);
  }
  if (typeof node.additionalProperties === 'object') return locateNamed(node.additionalProperties, here, words, path);
  if (node.items === undefined || !/^\d{1,4}$/.test(word)) return undefined;
  const items = here?.kind === 'list' ? here.items : [];
  return Number(word) > items.length ? undefined : locate(node.items, items[Number(word)], rest, [...path, Number(word)]);
}

/** `REGISTRY_UPSTREAMS_HUB_A_URL` means `hub-a` where that is written, else a new `hub`, in which there is no `a`. */
function locateNamed(node: JsonSchema, here: Tree | undefined, words: readonly string[], path: Path): Found | undefined {
  const written = here?.kind === 'section' ? [...here.entries.keys()] : [];
  for (let taken = words.length; taken > 0; taken -= 1) {
    const spelt = words.slice(0, taken).join('_');
    const name = written.find(
      (candidate) => candidate.toLowerCase().replaceAll(/[^a-z0-9]/g, '_') === spelt.replaceAll(/[^a-z0-9]/g, '_'),
    );
    const found = name === undefined ? undefined : locate(node, entryOf(here, name), words.slice(taken), [...path, name]);
    if (found !== undefined) return found;
  }
  const [word = '', ...rest] = words;
  return locate(node, undefined, rest, [...path, word]);
}

function isSpokenOf(path: Path): boolean {
  return [...official, ...later].some(({ key }) => {
    const row = key.split('.');
    return path.slice(0, row.length).every((part, index) => row[index] === '*' || row[index] === part);
  });
}

function entryOf(tree: Tree | undefined, name: string): Tree | undefined {
  return tree?.kind === 'section' ? tree.entries.get(name)?.value : undefined;
}

/** An empty variable takes the key away, as it does in the official registry. */
function write(tree: Section, { path, node }: Found, variable: string, value: string): Fault[] {
  const at: Place = { file: 'environment', line: 0, column: 0, variable };
  try {
    put(tree, path, valueOf(value, node, at), at);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return [faultAt(at, path, 'expected a value that can be read as YAML')];
    throw error;
  }
}

/** Read as YAML of the target's type: for a text, quotes are taken off, and anything else stays as it is. */
function valueOf(value: string, node: JsonSchema | undefined, at: Place): Tree {
  const isText =
    node !== undefined && node.properties === undefined && node.additionalProperties === undefined && node.items === undefined;
  if (isText && node.anyOf === undefined && !/^\s*(?:"[^"]*"|'[^']*')\s*$/.test(value)) {
    return { kind: 'scalar', at, text: value.trim() === '' ? undefined : value.trim() };
  }
  return parseTree(value, at);
}

function put(tree: Section, path: Path, value: Tree, at: Place): void {
  let here: Tree = tree;
  for (const [index, part] of path.entries()) {
    const last = index === path.length - 1;
    const below = typeof path[index + 1] === 'number';
    const next: Tree = last
      ? value
      : (containerAt(here, part, below) ?? (below ? { kind: 'list', at, items: [] } : sectionOf(at)));
    if (here.kind === 'list') here.items[Number(part)] = next;
    if (here.kind === 'section') here.entries.set(String(part), { keyAt: at, value: next });
    here = next;
  }
}

/** What stands there already, if it can hold more: a scalar such as `storage: filesystem` gives way. */
function containerAt(here: Tree, part: string | number, asList: boolean): Tree | undefined {
  const found = here.kind === 'list' ? here.items[Number(part)] : entryOf(here, String(part));
  return found?.kind === (asList ? 'list' : 'section') ? found : undefined;
}

function unknown(variable: string): string {
  const suggestion = nearest(variable.slice('REGISTRY'.length), namesBelow(describedSchema(), ''));
  return `${variable} names nothing in the configuration${suggestion === undefined ? '' : `; did you mean REGISTRY${suggestion}?`}`;
}

function namesBelow(node: JsonSchema, prefix: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const spelt = `${prefix}_${name.toUpperCase()}`;
    return [spelt, ...namesBelow(child, spelt)];
  });
}
