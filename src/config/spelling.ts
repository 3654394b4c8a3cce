import { faultAt, sectionOf, treeAt } from './tree-path.ts';
import type { Fault } from './fault.ts';
import { describedSchema, type JsonSchema } from './json-schema.ts';
import type { Section, Tree } from './tree.ts';

/**
 * Rewrites, in place, other spellings that the official registry reads: `storage: filesystem`, `loglevel`, the `logstash`
 * formatter. Yields a warning for what is spelt in a way that has a successor here.
 */
export function respell(tree: Section): string[] {
  for (const name of ['storage', 'auth']) nameToSection(tree, name);
  for (const name of ['credentials', 'upstreams']) nameAlone(treeAt(tree, [name]));
  return [...respellLevel(tree), ...respellFormatter(tree)];
}

/** `storage: filesystem` is the driver of that name without options. */
function nameToSection(tree: Section, name: string): void {
  const entry = tree.entries.get(name);
  if (entry?.value.kind !== 'scalar' || entry.value.text === undefined) return;
  const { at, text } = entry.value;
  const nothing: Tree = { kind: 'scalar', at, text: undefined };
  tree.entries.set(name, {
    keyAt: entry.keyAt,
    value: sectionOf(at, [[text, { keyAt: at, value: name === 'auth' ? entry.value : nothing }]]),
  });
}

/** `ecr:` without anything behind it is `ecr: {}`: that it is written is all that need be said. */
function nameAlone(accounts: Tree | undefined): void {
  if (accounts?.kind !== 'section') return;
  for (const { value: account } of accounts.entries.values()) {
    if (account.kind !== 'section') continue;
    for (const kind of ['ecr', 'gcp', 'acr']) {
      const entry = account.entries.get(kind);
      if (entry?.value.kind !== 'scalar' || entry.value.text !== undefined) continue;
      account.entries.set(kind, { ...entry, value: sectionOf(entry.value.at) });
    }
  }
}

function respellLevel(tree: Section): string[] {
  const old = tree.entries.get('loglevel');
  if (old === undefined) return [];
  tree.entries.delete('loglevel');
  const log = treeAt(tree, ['log']);
  const section = log?.kind === 'section' ? log : sectionOf(old.keyAt);
  if (log?.kind !== 'section') tree.entries.set('log', { keyAt: old.keyAt, value: section });
  if (!section.entries.has('level')) section.entries.set('level', old);
  return ['loglevel is the old name of log.level'];
}

function respellFormatter(tree: Section): string[] {
  const formatter = treeAt(tree, ['log', 'formatter']);
  if (formatter?.kind !== 'scalar' || formatter.text !== 'logstash') return [];
  formatter.text = 'json';
  return ['log.formatter: logstash is read as json: the fields are named otherwise'];
}

/** Takes out, in place, the keys that begin `x-` wherever keys are ours to name: notes, and anchors for merge keys. */
export function dropNotes(tree: Tree): void {
  // Few files have any, and describing the schema takes a thirtieth of a start.
  if (hasNotes(tree)) dropBelow(tree, describedSchema());
}

function hasNotes(tree: Tree): boolean {
  if (tree.kind === 'list') return tree.items.some(hasNotes);
  if (tree.kind !== 'section') return false;
  return [...tree.entries].some(([name, { value }]) => name.startsWith('x-') || hasNotes(value));
}

function dropBelow(tree: Tree, node: JsonSchema): void {
  if (tree.kind === 'list') return tree.items.forEach((item) => dropBelow(item, node.items ?? {}));
  if (tree.kind !== 'section') return;
  const children = node.properties ?? node.anyOf?.find(({ properties }) => properties !== undefined)?.properties;
  for (const [name, { value }] of tree.entries) {
    if (children !== undefined && name.startsWith('x-')) tree.entries.delete(name);
    else dropBelow(value, children?.[name] ?? (typeof node.additionalProperties === 'object' ? node.additionalProperties : {}));
  }
}

/** The file as a whole must be a section; an empty one is. */
export function asSection(tree: Tree): Section | Fault {
  if (tree.kind === 'section') return tree;
  if (tree.kind === 'scalar' && tree.text === undefined) return sectionOf(tree.at);
  return faultAt(tree.at, [], 'expected sections such as http: and storage:');
}
